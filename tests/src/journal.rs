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
    let key = blake3::derive_key("dhenara 2026 journal", &KEY);
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
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(sum.as_bytes())
            .update(record.to_string().as_bytes());
        sum = hasher.finalize().to_hex()[..16].to_owned();
        record["sum"] = sum.as_str().into();
        text += &format!("{record}\n");
    }
    text
}
