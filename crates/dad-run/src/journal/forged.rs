//! Journals as `docs/format/journal.schema.json` describes them, written without the code that drivers write them with, and
//! damage that is the same each time a test is executed.

use serde_json::{Value, json};

/// The origin key of tests.
const KEY: [u8; 32] = [7; 32];

/// The records of a journal of format 2 as its lines, with new sums, and with new codes where records had one.
#[must_use]
pub fn seal(records: &[Value]) -> String {
    seal_with(records, &KEY)
}

/// The lines of a journal of format 2 with new sums; their codes stay.
///
/// # Panics
/// If a line is no JSON.
#[must_use]
pub fn with_sums(text: &str) -> String {
    let mut sum = "0".repeat(16);
    let lines = text
        .lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(mut record) => {
                let mac = take(&mut record, "mac");
                take(&mut record, "sum");
                let line = hash(&sum, &record);
                sum = end(&mut record, &line, mac);
                format!("{record}\n")
            }
            Err(error) => panic!("{line}: {error}"),
        });
    lines.collect()
}

/// As [`seal`], with another key.
#[must_use]
pub fn seal_with(records: &[Value], key: &[u8; 32]) -> String {
    let key = blake3::derive_key("dhenara 2026 journal", key);
    let mut sum = "0".repeat(16);
    let mut mac = "0".repeat(32);
    let mut text = String::new();
    for record in records {
        let mut record = record.clone();
        let is_signed = take(&mut record, "mac").is_some();
        take(&mut record, "sum");
        let line = hash(&sum, &record);
        let signed = is_signed.then(|| {
            let mut hasher = blake3::Hasher::new_keyed(&key);
            hasher.update(mac.as_bytes()).update(line.finalize().as_bytes());
            hasher.finalize().to_hex()[..32].to_owned()
        });
        mac = signed.clone().unwrap_or_else(|| "0".repeat(32));
        sum = end(&mut record, &line, signed);
        text += &format!("{record}\n");
    }
    text
}

/// The source of the code and the sum of a line.
fn hash(sum_before: &str, record: &Value) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(sum_before.as_bytes())
        .update(record.to_string().as_bytes());
    hasher
}

/// Puts code and sum at the end of a line, and returns the sum.
fn end(record: &mut Value, line: &blake3::Hasher, mac: Option<String>) -> String {
    let mut hasher = line.clone();
    if let Some(mac) = mac {
        hasher.update(mac.as_bytes());
        record["mac"] = mac.into();
    }
    let sum = hasher.finalize().to_hex()[..16].to_owned();
    record["sum"] = sum.as_str().into();
    sum
}

fn take(record: &mut Value, field: &str) -> Option<String> {
    let taken = record.as_object_mut()?.shift_remove(field)?;
    Some(taken.as_str().unwrap_or_default().to_owned())
}

/// Numbers that are drawn the same way each time.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Numbers that a seed decides.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below a bound.
    pub const fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// Changes something in a record: a field is gone, or is new, or has another value, among them such as attackers choose.
    ///
    /// # Panics
    /// Never: what is drawn is there.
    pub fn damage(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let number = self.below(fields.len());
                let name = fields.keys().nth(number).cloned().unwrap_or_default();
                match self.below(6) {
                    0 => {
                        fields.shift_remove(&name);
                    }
                    1 => {
                        fields.insert(name + "x", json!([1, { "a": null }]));
                    }
                    _ => self.damage(&mut fields[&name]),
                }
            }
            Value::Array(items) if !items.is_empty() => {
                let number = self.below(items.len());
                self.damage(&mut items[number]);
            }
            other => {
                let values = [
                    json!(null),
                    json!(-1),
                    json!(u64::MAX),
                    json!(1e300),
                    json!(""),
                    json!("all"),
                    json!("all.first"),
                    json!("../../../etc"),
                    json!("all.each.iter_99999999999999999999.x"),
                    json!("x".repeat(70_000)),
                    json!("step_committed"),
                    json!("completed"),
                    json!(true),
                    json!({}),
                    json!([[[[]]]]),
                ];
                *other = values[self.below(values.len())].clone();
            }
        }
    }
}
