//! Damage that is the same each time a test is executed.

use serde_json::{Value, json};

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
