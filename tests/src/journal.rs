//! Journals as `docs/format/journal.schema.json` describes them, written without the code that drivers write them with.

use dhenara::run::OriginKey;
use serde_json::Value;

/// The origin key of tests.
const KEY: [u8; 32] = [7; 32];

/// The origin key of tests.
#[must_use]
pub fn origin_key() -> OriginKey {
    OriginKey::from_bytes(KEY)
}

/// The origin key of tests, as `DHENARA_ORIGIN_KEY` has it.
#[must_use]
pub fn hex_key() -> String {
    KEY.map(|byte| format!("{byte:02x}")).concat()
}

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
                if let Some(fields) = record.as_object_mut() {
                    fields.shift_remove("sum");
                }
                sum = sum_of(&sum, &record);
                record["sum"] = sum.as_str().into();
                format!("{record}\n")
            }
            Err(error) => panic!("{line}: {error}"),
        });
    lines.collect()
}

fn sum_of(before: &str, record: &Value) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(before.as_bytes())
        .update(record.to_string().as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
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
        let Some(fields) = record.as_object_mut() else {
            continue;
        };
        fields.shift_remove("sum");
        let is_signed = fields.shift_remove("mac").is_some();
        if is_signed {
            let mut hasher = blake3::Hasher::new_keyed(&key);
            hasher
                .update(mac.as_bytes())
                .update(record.to_string().as_bytes());
            mac = hasher.finalize().to_hex()[..32].to_owned();
            record["mac"] = mac.as_str().into();
        } else {
            mac = "0".repeat(32);
        }
        sum = sum_of(&sum, &record);
        record["sum"] = sum.as_str().into();
        text += &format!("{record}\n");
    }
    text
}
