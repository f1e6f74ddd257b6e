//! A record as a line, written and read in one pass. What serde derives for a flattened, tagged enum keeps every field in between twice,
//! which costs several times as much, and a run has two records for each of its steps.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use dad_core::{HierarchyPath, Timestamp};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::RunError;
use crate::journal::reason::Reason;
use crate::journal::record::{Record, RecordBody};
use crate::journal::stored::{ArtifactList, StoredRef};
use crate::layout::JOURNAL;

/// Writes a record as a line, without its line feed.
pub(crate) fn encode(line: &mut Vec<u8>, seq: u64, at: Timestamp, body: &RecordBody) -> Result<(), RunError> {
    let unwritable = |reason: String| RunError::unreadable(JOURNAL, reason);
    line.clear();
    // `seq` and `at` stand first in every line; serde's flatten would build a map for it.
    write!(line, "{{\"seq\":{seq},\"at\":\"{at}\"").map_err(|e| unwritable(e.to_string()))?;
    let brace = line.len();
    serde_json::to_writer(&mut *line, body).map_err(|e| unwritable(e.to_string()))?;
    line[brace] = b',';
    Ok(())
}

/// A text of the line, copied only if it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The fields of [`RecordBody::StepStarted`].
#[derive(Deserialize)]
struct Started {
    path: HierarchyPath,
    attempt: u32,
    reason: Reason,
    #[serde(default)]
    after: Option<HierarchyPath>,
    #[serde(default)]
    effect: bool,
    #[serde(default)]
    session: Option<u32>,
}

impl From<Started> for RecordBody {
    fn from(started: Started) -> Self {
        let Started {
            path,
            attempt,
            reason,
            after,
            effect,
            session,
        } = started;
        Self::StepStarted {
            path,
            attempt,
            reason,
            after,
            effect,
            session,
        }
    }
}

/// The fields of [`RecordBody::LoopDecided`].
#[derive(Deserialize)]
struct Decided {
    path: HierarchyPath,
    iteration: u64,
    stop: bool,
}

impl From<Decided> for RecordBody {
    fn from(decided: Decided) -> Self {
        let Decided {
            path,
            iteration,
            stop,
        } = decided;
        Self::LoopDecided {
            path,
            iteration,
            stop,
        }
    }
}

struct RecordVisitor;

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record of a journal")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let (mut seq, mut at) = (None, None);
        let mut fields = Map::new();
        while let Some(Text(key)) = map.next_key()? {
            match (&*key, seq, at) {
                ("seq", ..) => seq = Some(map.next_value()?),
                ("at", ..) => at = Some(map.next_value()?),
                ("type", Some(seq), Some(at)) => {
                    let Text(kind) = map.next_value()?;
                    let rest = MapAccessDeserializer::new(&mut map);
                    let body = match &*kind {
                        "step_started" => Started::deserialize(rest)?.into(),
                        "step_committed" => RecordBody::StepCommitted(Box::deserialize(rest)?),
                        "loop_decided" => Decided::deserialize(rest)?.into(),
                        kind => {
                            let tagged = Tagged {
                                kind: Some(kind),
                                is_named: false,
                                rest: map,
                            };
                            RecordBody::deserialize(MapAccessDeserializer::new(tagged))?
                        }
                    };
                    return Ok(Record { seq, at, body });
                }
                _ => {
                    fields.insert(key.into_owned(), map.next_value()?);
                }
            }
        }
        Ok(Record {
            seq: seq.ok_or_else(|| Error::missing_field("seq"))?,
            at: at.ok_or_else(|| Error::missing_field("at"))?,
            body: RecordBody::deserialize(Value::Object(fields)).map_err(Error::custom)?,
        })
    }
}

/// The fields of a record behind its type, which was read already.
struct Tagged<'a, A> {
    kind: Option<&'a str>,
    is_named: bool,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Tagged<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if std::mem::replace(&mut self.is_named, true) {
            return self.rest.next_key_seed(seed);
        }
        seed.deserialize("type".into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.kind.take() {
            Some(kind) => seed.deserialize(kind.into_deserializer()),
            None => self.rest.next_value_seed(seed),
        }
    }
}

struct ArtifactsVisitor;

/// The field of [`ArtifactList::Stored`].
#[derive(Deserialize)]
struct StoredList {
    stored: StoredRef,
}

impl<'de> Deserialize<'de> for ArtifactList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ArtifactsVisitor)
    }
}

impl<'de> Visitor<'de> for ArtifactsVisitor {
    type Value = ArtifactList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of artifacts, or where it is stored")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<ArtifactList, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(ArtifactList::Inline)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<ArtifactList, A::Error> {
        let StoredList { stored } = StoredList::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(ArtifactList::Stored { stored })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_may_stand_in_any_order_and_a_newer_kind_is_known_as_such() {
        let at = "2026-01-02T03:04:05Z";
        let lines = [
            json!({"seq": 7, "at": at, "type": "step_started", "path": "a.b", "attempt": 2, "reason": "retry"}),
            json!({"type": "step_started", "path": "a.b", "attempt": 2, "reason": "retry", "at": at, "seq": 7}),
        ];
        for line in lines {
            let record: Record = serde_json::from_str(&line.to_string()).unwrap();
            let RecordBody::StepStarted {
                path,
                attempt,
                reason,
                after,
                effect,
                session: None,
            } = &record.body
            else {
                panic!("{record:?}");
            };
            assert_eq!((record.seq, path.as_str(), *attempt), (7, "a.b", 2));
            assert_eq!((reason, after, effect), (&Reason::Retry, &None, &false));
            assert_eq!(
                serde_json::from_value::<Record>(json!(record)).unwrap(),
                record,
                "what is written is read again"
            );
        }
        let newer = json!({"seq": 1, "at": at, "type": "of_tomorrow", "path": 3});
        let record: Record = serde_json::from_value(newer).unwrap();
        assert_eq!(record.body, RecordBody::Unknown);
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |line: Value| serde_json::from_value::<Record>(line).unwrap_err().to_string();
        let at = "2026-01-02T03:04:05Z";
        let started = json!({"seq": 1, "at": at, "type": "step_started", "attempt": 1, "reason": "retry"});
        assert!(refused(started).contains("path"));
        assert!(refused(json!({"at": at, "type": "run_sealed"})).contains("seq"));
        assert!(refused(json!({"seq": 1, "at": at})).contains("type"));
    }
}
