//! The end of an evaluation: what may leave it.

use std::sync::Arc;

use super::Evaluator;
use crate::error::EvalError;
use crate::error::Result;
use crate::value::Value;

impl Evaluator<'_> {
    /// Makes a value fit to leave: iterators become lists, functions are refused, and what a reader of the value
    /// would have to do is paid for. `None`: the value is fit as it is.
    pub(super) fn settle(&mut self, value: &Value, depth: u32, top: bool) -> Result<Option<Value>> {
        if depth > self.meter.limits.depth {
            return Err(EvalError::limit(format!(
                "the value nests deeper than {} levels",
                self.meter.limits.depth
            )));
        }
        match value {
            Value::Str(text) if !top => {
                self.meter.alloc(text.len() as u64)?;
                Ok(None)
            }
            Value::List(items) => Ok(self.settle_items(items, depth)?.map(Value::from)),
            Value::Tuple(items) => Ok(self.settle_items(items, depth)?.map(Value::tuple)),
            Value::Object(object) => {
                let mut changed = None;
                for (index, (key, value)) in object.0.iter().enumerate() {
                    self.meter.steps(1)?;
                    self.meter.alloc(32)?;
                    self.settle(&key.0, depth + 1, false)?;
                    if let Some(settled) = self.settle(value, depth + 1, false)? {
                        let map = changed.get_or_insert_with(|| object.0.clone());
                        if let Some((_, slot)) = map.get_index_mut(index) {
                            *slot = settled;
                        }
                    }
                }
                Ok(changed.map(Value::map))
            }
            Value::Function(function) if function.lazy().is_some() => {
                self.meter.enter()?;
                let items = self.collect(value)?;
                self.meter.leave();
                let list = Value::from(items);
                Ok(Some(self.settle(&list, depth, top)?.unwrap_or(list)))
            }
            Value::Function(_) => {
                Err(EvalError::type_("the result is a function").hint("call it with `(…)`"))
            }
            Value::Range(range) if !top => {
                self.meter.alloc(range.len().saturating_mul(16))?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn settle_items(&mut self, items: &Arc<Vec<Value>>, depth: u32) -> Result<Option<Vec<Value>>> {
        let mut changed: Option<Vec<Value>> = None;
        for (index, item) in items.iter().enumerate() {
            self.meter.steps(1)?;
            self.meter.alloc(16)?;
            if let Some(settled) = self.settle(item, depth + 1, false)? {
                let copy = changed.get_or_insert_with(|| items.to_vec());
                if let Some(slot) = copy.get_mut(index) {
                    *slot = settled;
                }
            }
        }
        Ok(changed)
    }
}
