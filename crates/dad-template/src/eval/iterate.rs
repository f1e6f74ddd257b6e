//! Going through the elements of values, lazily where they are computed.

use super::{Each, Evaluator};
use crate::call::Args;
use crate::error::{EvalError, Result};
use crate::function::Lazy;
use crate::int::Int;
use crate::machine::{Flow, GO_ON, STOP};
use crate::value::Value;

impl<'a> Evaluator<'a> {
    /// Hands out the elements of a value one by one.
    pub(crate) fn iterate(&mut self, value: &Value, each: Each<'_, 'a>) -> Flow {
        match value {
            Value::List(items) | Value::Tuple(items) => self.walk(items.iter().cloned(), each),
            Value::Set(set) => self.walk(set.iter().cloned(), each),
            Value::Range(range) => self.walk(range.iter().map(Value::int), each),
            Value::Object(object) => self.walk(object.0.keys().map(|key| key.0.clone()), each),
            Value::Str(text) => {
                let mut buffer = [0; 4];
                self.walk(
                    text.chars().map(|c| Value::str(&*c.encode_utf8(&mut buffer))),
                    &mut |evaluator, c| {
                        evaluator.meter.text(4)?;
                        each(evaluator, c)
                    },
                )
            }
            Value::Function(function) if let Some(lazy) = function.lazy() => {
                self.meter.enter()?;
                let flow = self.drive(lazy, each);
                self.meter.leave();
                flow
            }
            other => Err(not_iterable(other)),
        }
    }

    fn walk(&mut self, items: impl Iterator<Item = Value>, each: Each<'_, 'a>) -> Flow {
        for item in items {
            self.meter.steps(1)?;
            if each(self, item)?.is_stopped() {
                return STOP;
            }
        }
        GO_ON
    }

    fn drive(&mut self, lazy: &Lazy, each: Each<'_, 'a>) -> Flow {
        match lazy {
            Lazy::Generator(closure, first) => {
                self.meter.elements(closure.locals.len() as u64)?;
                // While an element is handed out, the receiver must see its own names.
                let mut outer = std::mem::replace(&mut self.locals, closure.locals.clone());
                let flow = self.clauses(&closure.code, 0, Some(first), &mut |evaluator| {
                    let value = evaluator.eval(&closure.code.element)?;
                    std::mem::swap(&mut evaluator.locals, &mut outer);
                    let flow = each(evaluator, value);
                    std::mem::swap(&mut evaluator.locals, &mut outer);
                    flow
                });
                self.locals = outer;
                flow
            }
            Lazy::Map(function, iterables) => match iterables.as_slice() {
                [single] => self.iterate(single, &mut |evaluator, item| {
                    let value = evaluator.call(function, Args::one(item))?;
                    each(evaluator, value)
                }),
                _ => self.rows(iterables, false, &mut |evaluator, row| {
                    let value = evaluator.call(
                        function,
                        Args {
                            positional: row,
                            keywords: Vec::new(),
                        },
                    )?;
                    each(evaluator, value)
                }),
            },
            Lazy::Filter(function, iterable) => self.iterate(iterable, &mut |evaluator, item| {
                let keep = match function {
                    Value::Null => item.is_true(),
                    function => evaluator.call(function, Args::one(item.clone()))?.is_true(),
                };
                if keep { each(evaluator, item) } else { GO_ON }
            }),
            Lazy::Enumerate(iterable, start) => {
                let mut number = start.clone();
                self.iterate(iterable, &mut |evaluator, item| {
                    evaluator.meter.elements(2)?;
                    let pair = Value::tuple(vec![Value::Int(number.clone()), item]);
                    number = number.add(&Int::from(1));
                    each(evaluator, pair)
                })
            }
            Lazy::Zip(iterables, strict) => self.rows(iterables, *strict, &mut |evaluator, row| {
                each(evaluator, Value::tuple(row))
            }),
        }
    }

    /// Reads several iterables side by side, as far as the shortest.
    fn rows(
        &mut self,
        iterables: &[Value],
        strict: bool,
        each: &mut dyn FnMut(&mut Self, Vec<Value>) -> Flow,
    ) -> Flow {
        let mut columns = Vec::with_capacity(iterables.len());
        for iterable in iterables {
            columns.push(self.collect(iterable)?);
        }
        let len = columns.iter().map(Vec::len).min().unwrap_or(0);
        let mut columns: Vec<_> = columns
            .into_iter()
            .map(|column| (column.len() != len, column.into_iter()))
            .collect();
        for _ in 0..len {
            self.meter.steps(columns.len() as u64)?;
            self.meter.elements(columns.len() as u64)?;
            let row = columns
                .iter_mut()
                .filter_map(|(_, column)| column.next())
                .collect();
            if each(self, row)?.is_stopped() {
                return STOP;
            }
        }
        if strict && columns.iter().any(|(longer, _)| *longer) {
            return Err(EvalError::value("the arguments of `zip` have different lengths"));
        }
        GO_ON
    }

    /// All elements of a value. A list is shared as far as possible, everything else is paid for.
    pub(crate) fn collect(&mut self, value: &Value) -> Result<Vec<Value>> {
        match value {
            Value::List(items) | Value::Tuple(items) => {
                self.meter.steps(items.len() as u64 / 16)?;
                self.meter.elements(items.len() as u64)?;
                Ok(items.to_vec())
            }
            Value::Range(range) => {
                self.meter.elements(range.len())?;
                self.meter.steps(range.len() / 8)?;
                Ok(range.iter().map(Value::int).collect())
            }
            other => {
                let mut items = Vec::new();
                self.iterate(other, &mut |evaluator, item| {
                    evaluator.meter.elements(1)?;
                    items.push(item);
                    GO_ON
                })?;
                Ok(items)
            }
        }
    }
}

pub(super) fn not_iterable(value: &Value) -> EvalError {
    EvalError::type_(format!("{} has no elements to go through", value.type_name()))
}
