//! The functions of the language. There is no way to reach one that is not listed here.

mod numbers;

use std::cmp::Ordering;

use indexmap::IndexSet;

use crate::call::Args;
use crate::compare;
use crate::compare::insert;
use crate::error::{EvalError, Result};
use crate::format;
use crate::function::{Callable, Function, Lazy};
use crate::json;
use crate::machine::{GO_ON, Machine, STOP};
use crate::number;
use crate::ops;
use crate::sort;
use crate::text::{self, Out};
use crate::value::{Map, Range, Value};

/// The names of the functions of the language, for suggestions; those of a module with a dot.
#[must_use]
pub fn function_names() -> &'static [&'static str] {
    Builtin::NAMES
}

macro_rules! builtins {
    ($($variant:ident $name:literal)*) => {
        /// A function of the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Builtin {
            $($variant,)*
        }

        impl Builtin {
            pub(crate) fn by_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Builtin::$variant),)*
                    _ => None,
                }
                // Functions of a module have a dot in their name, which no name in a template has.
            }

            /// The names of all functions.
            pub(crate) const NAMES: &[&str] = &[$($name,)*];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Builtin::$variant => $name,)*
                }
            }
        }
    };
}

builtins! {
    Abs "abs" All "all" Any "any" Bin "bin" Bool "bool" Chr "chr" Dict "dict" Divmod "divmod"
    Enumerate "enumerate" Filter "filter" Float "float" Format "format" Hex "hex" Int "int"
    IsInstance "isinstance" Len "len" List "list" Map "map" Max "max" Min "min" Next "next" Oct "oct" Ord "ord"
    Pow "pow" Range "range" Repr "repr" Reversed "reversed" Round "round" Set "set" Sh "sh" Sorted "sorted"
    Str "str" Sum "sum" Tuple "tuple" Zip "zip" JsonLoads "json.loads" JsonDumps "json.dumps"
}

/// The function of a module: `json` is the only one.
pub(crate) fn in_module(module: &str, name: &str) -> Option<Builtin> {
    match (module, name) {
        ("json", "loads") => Some(Builtin::JsonLoads),
        ("json", "dumps") => Some(Builtin::JsonDumps),
        _ => None,
    }
}

pub(crate) fn call(ev: &mut dyn Machine, builtin: Builtin, args: Args) -> Result<Value> {
    ev.meter().steps(1)?;
    let name = builtin.name();
    match builtin {
        Builtin::Len => len(ev, &args.single(name)?),
        Builtin::All => any(ev, &args.single(name)?, false),
        Builtin::Any => any(ev, &args.single(name)?, true),
        Builtin::Sum => sum(ev, args),
        Builtin::Min => extreme(ev, args, name, Ordering::Less),
        Builtin::Max => extreme(ev, args, name, Ordering::Greater),
        Builtin::Sorted => sorted(ev, args),
        Builtin::Abs => numbers::abs(&args.single(name)?),
        Builtin::Round => numbers::round(ev, args),
        Builtin::Divmod => {
            let (a, b) = args.pair(name)?;
            let quotient = ops::binary(ev.meter(), crate::ast::BinaryOp::FloorDiv, &a, &b)?;
            Ok(Value::tuple(vec![
                quotient,
                ops::binary(ev.meter(), crate::ast::BinaryOp::Mod, &a, &b)?,
            ]))
        }
        Builtin::Pow => {
            let (a, b) = args.pair(name)?;
            ops::power(ev.meter(), &a, &b)
        }
        Builtin::Bin | Builtin::Hex | Builtin::Oct => numbers::radix(ev, builtin, &args.single(name)?),
        Builtin::Str => str_(ev, args),
        Builtin::Repr => {
            let value = args.single(name)?;
            format::converted(ev.meter(), &value, Some('r')).map(Value::from)
        }
        Builtin::Format => {
            let [value, spec] = args.bind(name, ["", ""], 1)?;
            let spec = spec.unwrap_or_else(|| Value::from(""));
            let spec = spec
                .as_str()
                .ok_or_else(|| EvalError::type_("a format specification must be text"))?;
            format::format_value(ev.meter(), &value.unwrap_or_default(), spec).map(Value::from)
        }
        Builtin::Chr => chr(&args.single(name)?),
        Builtin::Ord => ord(&args.single(name)?),
        Builtin::Int => numbers::int(ev, args),
        Builtin::Float => numbers::float(ev, args),
        Builtin::Bool => {
            let [value] = args.bind(name, [""], 0)?;
            Ok(Value::Bool(value.is_some_and(|value| value.is_true())))
        }
        Builtin::Sh => sh(ev, &args.single(name)?),
        Builtin::IsInstance => is_instance(args),
        Builtin::JsonLoads => match args.single(name)? {
            Value::Str(text) => json::loads(ev.meter(), &text),
            other => Err(EvalError::type_(format!(
                "`json.loads` reads text, not {}",
                other.type_name()
            ))),
        },
        Builtin::JsonDumps => json::dumps(ev.meter(), args),
        _ => collection(ev, builtin, args),
    }
}

fn collection(ev: &mut dyn Machine, builtin: Builtin, args: Args) -> Result<Value> {
    let name = builtin.name();
    match builtin {
        Builtin::List | Builtin::Tuple => list_or_tuple(ev, builtin, args),
        Builtin::Set => {
            let [value] = args.bind(name, [""], 0)?;
            let items = value.map_or_else(|| Ok(Vec::new()), |value| ev.collect(&value))?;
            make_set(ev, items)
        }
        Builtin::Dict => dict(ev, args),
        Builtin::Range => range(args),
        Builtin::Reversed => match args.single(name)? {
            value @ (Value::Set(_) | Value::Function(_)) => Err(EvalError::type_(format!(
                "{} has no order to reverse",
                value.type_name()
            ))),
            value => {
                let mut items = ev.collect(&value)?;
                items.reverse();
                Ok(Value::from(items))
            }
        },
        _ => iterator(ev, builtin, args),
    }
}

fn list_or_tuple(ev: &mut dyn Machine, builtin: Builtin, args: Args) -> Result<Value> {
    let [value] = args.bind(builtin.name(), [""], 0)?;
    let items = match (value, builtin) {
        (None, _) => Vec::new(),
        (Some(value @ Value::List(_)), Builtin::List) | (Some(value @ Value::Tuple(_)), Builtin::Tuple) => {
            return Ok(value);
        }
        (Some(value), _) => ev.collect(&value)?,
    };
    Ok(if builtin == Builtin::List {
        Value::from(items)
    } else {
        Value::tuple(items)
    })
}

/// Functions that make iterators, and the one that reads them.
fn iterator(ev: &mut dyn Machine, builtin: Builtin, args: Args) -> Result<Value> {
    let name = builtin.name();
    match builtin {
        Builtin::Enumerate => {
            let [iterable, start] = args.bind(name, ["iterable", "start"], 1)?;
            let start = start.unwrap_or_else(|| Value::int(0));
            let start =
                number::integer(&start).ok_or_else(|| EvalError::type_("`start` must be an integer"))?;
            let enumerated = Lazy::Enumerate(iterable.clone().unwrap_or_default(), start);
            lazy(ev, &[], enumerated, iterable.as_slice())
        }
        Builtin::Zip => {
            let Args { positional, keywords } = args;
            let [strict] = Args {
                positional: Vec::new(),
                keywords,
            }
            .bind(name, ["*strict"], 0)?;
            let strict = strict.is_some_and(|strict| strict.is_true());
            lazy(ev, &[], Lazy::Zip(positional.clone(), strict), &positional)
        }
        Builtin::Map => map(ev, &args),
        Builtin::Filter => {
            let (function, iterable) = args.pair(name)?;
            let checked: &[&Value] = if function.is_null() { &[] } else { &[&function] };
            let filtered = Lazy::Filter(function.clone(), iterable.clone());
            lazy(ev, checked, filtered, &[iterable])
        }
        Builtin::Next => next(ev, args),
        _ => Err(EvalError::type_(format!("`{name}` cannot be called"))),
    }
}

fn map(ev: &mut dyn Machine, args: &Args) -> Result<Value> {
    if !args.keywords.is_empty() {
        return Err(EvalError::type_("`map` has no arguments with names"));
    }
    match args.positional.as_slice() {
        [function, iterables @ ..] if !iterables.is_empty() => {
            let mapped = Lazy::Map(function.clone(), iterables.to_vec());
            lazy(ev, &[function], mapped, iterables)
        }
        _ => Err(EvalError::type_(
            "`map` needs a function and something to go through",
        )),
    }
}

fn next(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let [iterator, default] = args.bind("next", ["", ""], 1)?;
    let iterator = iterator.unwrap_or_default();
    if !crate::function::is_lazy(&iterator) {
        return Err(EvalError::type_(format!(
            "{} is not an iterator",
            iterator.type_name()
        )));
    }
    let mut found = None;
    ev.iterate(&iterator, &mut |_, value| {
        found = Some(value);
        STOP
    })?;
    found
        .or(default)
        .ok_or_else(|| EvalError::value("the iterator is empty"))
}

/// Makes an iterator, after checking what Python checks at once.
fn lazy(ev: &mut dyn Machine, functions: &[&Value], lazy: Lazy, iterables: &[Value]) -> Result<Value> {
    for function in functions {
        if !matches!(function, Value::Function(_)) {
            return Err(EvalError::type_(format!(
                "{} cannot be called",
                function.type_name()
            )));
        }
    }
    for iterable in iterables {
        if matches!(
            iterable,
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_)
        ) {
            return Err(EvalError::type_(format!(
                "{} has no elements to go through",
                iterable.type_name()
            )));
        }
    }
    ev.meter().elements(iterables.len() as u64 + 2)?;
    Ok(Value::Function(Function::new(Callable::Lazy(lazy))))
}

fn len(ev: &mut dyn Machine, value: &Value) -> Result<Value> {
    match value {
        Value::Str(text) => {
            ev.meter().scan(text.len())?;
            Ok(Value::size(text.chars().count()))
        }
        other => match other.len() {
            Some(len) => Ok(Value::int(len)),
            None => Err(EvalError::type_(format!("{} has no length", other.type_name()))),
        },
    }
}

/// `any` looks for a true element, `all` for a false one.
fn any(ev: &mut dyn Machine, value: &Value, wanted: bool) -> Result<Value> {
    let flow = ev.iterate(value, &mut |_, item| {
        if item.is_true() == wanted { STOP } else { GO_ON }
    })?;
    Ok(Value::Bool(flow.is_stopped() == wanted))
}

fn sum(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let [iterable, start] = args.bind("sum", ["", "start"], 1)?;
    let mut total = start.unwrap_or_else(|| Value::int(0));
    if let Value::Str(_) = total {
        return Err(EvalError::type_("`sum` does not add texts").hint("write `''.join(…)`"));
    }
    ev.iterate(&iterable.unwrap_or_default(), &mut |ev, item| {
        total = ops::binary(ev.meter(), crate::ast::BinaryOp::Add, &total, &item)?;
        GO_ON
    })?;
    Ok(total)
}

fn extreme(ev: &mut dyn Machine, args: Args, name: &str, wanted: Ordering) -> Result<Value> {
    let Args { positional, keywords } = args;
    let [key, default] = Args {
        positional: Vec::new(),
        keywords,
    }
    .bind(name, ["*key", "*default"], 0)?;
    let several = positional.len() > 1;
    if several && default.is_some() {
        return Err(EvalError::type_("`default` is for a single list"));
    }
    let candidates = if several {
        Some(Value::tuple(positional))
    } else {
        positional.into_iter().next()
    };
    let candidates = candidates.ok_or_else(|| EvalError::type_(format!("`{name}` needs a value")))?;
    let mut best: Option<(Value, Value)> = None;
    let key = key.filter(|key| !key.is_null());
    let mut consider = |ev: &mut dyn Machine, item: Value| {
        let rank = match &key {
            Some(key) => ev.call(key, Args::one(item.clone()))?,
            None => item.clone(),
        };
        let better = match &best {
            Some((_, best)) => compare::order(ev.meter(), "<", &rank, best)? == Some(wanted),
            None => true,
        };
        if better {
            best = Some((item, rank));
        }
        GO_ON
    };
    ev.iterate(&candidates, &mut consider)?;
    match (best, default) {
        (Some((item, _)), _) => Ok(item),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(EvalError::value(format!("`{name}` of nothing"))),
    }
}

fn sorted(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let [iterable, key, reverse] = args.bind("sorted", ["", "*key", "*reverse"], 1)?;
    let items = ev.collect(&iterable.unwrap_or_default())?;
    let reverse = match reverse {
        None => false,
        Some(value @ (Value::Bool(_) | Value::Int(_))) => value.is_true(),
        Some(other) => {
            return Err(EvalError::type_(format!(
                "`reverse` must be a boolean, not {}",
                other.type_name()
            )));
        }
    };
    let key = key.filter(|key| !key.is_null());
    sorted_by(ev, &items, key.as_ref(), reverse).map(Value::from)
}

fn str_(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let [value] = args.bind("str", ["object"], 0)?;
    let Some(value) = value else {
        return Ok(Value::from(""));
    };
    if let Value::Str(_) = value {
        return Ok(value);
    }
    let python = ev.python();
    let mut out = Out::new(ev.meter());
    if python {
        text::write_str(&mut out, &value)?;
    } else {
        text::write_text(&mut out, &value)?;
    }
    Ok(Value::from(out.text))
}

fn chr(value: &Value) -> Result<Value> {
    let code = number::small(value, "the number of a character")?;
    let c = u32::try_from(code).ok().and_then(char::from_u32);
    c.map(|c| Value::from(c.to_string()))
        .ok_or_else(|| EvalError::value(format!("{code} is not the number of a character")))
}

fn ord(value: &Value) -> Result<Value> {
    let mut chars = value.as_str().unwrap_or_default().chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Value::int(i64::from(u32::from(c)))),
        _ => Err(EvalError::type_("`ord` needs one character")),
    }
}

/// Quotes a value for a POSIX shell: whatever it is, the shell sees one word with exactly its text.
fn sh(ev: &mut dyn Machine, value: &Value) -> Result<Value> {
    let mut out = Out::new(ev.meter());
    text::write_text(&mut out, value)?;
    let text = out.text;
    if text.contains('\0') {
        return Err(EvalError::value(
            "a text with a NUL character cannot be given to a shell",
        ));
    }
    ev.meter().text(text.len().saturating_mul(4))?;
    Ok(Value::from(format!("'{}'", text.replace('\'', "'\\''"))))
}

fn is_instance(args: Args) -> Result<Value> {
    let (value, types) = args.pair("isinstance")?;
    let types = match &types {
        Value::Tuple(types) => types.to_vec(),
        single => vec![single.clone()],
    };
    for type_ in &types {
        let builtin = match type_ {
            Value::Function(function) => match function.callable() {
                Callable::Builtin(builtin) => Some(*builtin),
                _ => None,
            },
            _ => None,
        };
        let found = match (builtin, &value) {
            (Some(Builtin::Str), Value::Str(_))
            | (Some(Builtin::Int), Value::Int(_) | Value::Bool(_))
            | (Some(Builtin::Float), Value::Float(_))
            | (Some(Builtin::Bool), Value::Bool(_))
            | (Some(Builtin::List), Value::List(_))
            | (Some(Builtin::Tuple), Value::Tuple(_))
            | (Some(Builtin::Dict), Value::Object(_))
            | (Some(Builtin::Set), Value::Set(_))
            | (Some(Builtin::Range), Value::Range(_)) => true,
            (
                Some(
                    Builtin::Str
                    | Builtin::Int
                    | Builtin::Float
                    | Builtin::Bool
                    | Builtin::List
                    | Builtin::Tuple
                    | Builtin::Dict
                    | Builtin::Set
                    | Builtin::Range,
                ),
                _,
            ) => false,
            _ => {
                return Err(EvalError::type_(
                    "`isinstance` needs a type such as `str`, or a tuple of types",
                ));
            }
        };
        if found {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(crate) fn make_set(ev: &mut dyn Machine, items: Vec<Value>) -> Result<Value> {
    ev.meter().entries(items.len() as u64)?;
    ev.meter().steps(items.len() as u64)?;
    let mut set = IndexSet::with_capacity(items.len());
    for item in items {
        set.insert(compare::key(ev.meter(), item)?);
    }
    Ok(Value::set(set))
}

fn dict(ev: &mut dyn Machine, args: Args) -> Result<Value> {
    let Args { positional, keywords } = args;
    let [source] = Args {
        positional,
        keywords: Vec::new(),
    }
    .bind("dict", [""], 0)?;
    let mut map = Map::new();
    match source {
        None => {}
        Some(Value::Object(object)) if keywords.is_empty() => return Ok(Value::Object(object)),
        Some(Value::Object(object)) => {
            for (key, value) in &object.0 {
                insert(ev.meter(), &mut map, key.0.clone(), value.clone())?;
            }
        }
        Some(pairs) => {
            ev.iterate(&pairs, &mut |ev, pair| {
                let items = ev.collect(&pair)?;
                match <[Value; 2]>::try_from(items) {
                    Ok([key, value]) => insert(ev.meter(), &mut map, key, value)?,
                    Err(items) => {
                        return Err(EvalError::value(format!(
                            "`dict` needs pairs, not {} values",
                            items.len()
                        )));
                    }
                }
                GO_ON
            })?;
        }
    }
    for (name, value) in keywords {
        insert(ev.meter(), &mut map, Value::Str(name), value)?;
    }
    Ok(Value::map(map))
}

fn range(args: Args) -> Result<Value> {
    let mut numbers = Vec::new();
    for value in args.bind("range", ["", "", ""], 1)?.into_iter().flatten() {
        if !matches!(value, Value::Int(_) | Value::Bool(_)) {
            return Err(EvalError::type_(format!(
                "`range` needs integers, not {}",
                value.type_name()
            )));
        }
        numbers.push(number::small(&value, "a bound of a range")?);
    }
    let (start, stop, step) = match numbers.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        _ => return Err(EvalError::type_("`range` needs one to three integers")),
    };
    if step == 0 {
        return Err(EvalError::value("the step of a range is zero"));
    }
    Ok(Value::Range(Range { start, stop, step }))
}

/// Sorts by the values or by what `key` makes of them. Equal ones stay in order, in a reversed sort too.
fn sorted_by(
    ev: &mut dyn Machine,
    items: &[Value],
    key: Option<&Value>,
    reverse: bool,
) -> Result<Vec<Value>> {
    let keys = match key {
        None => items.to_vec(),
        Some(key) => {
            let mut keys = Vec::with_capacity(items.len());
            for item in items {
                keys.push(ev.call(key, Args::one(item.clone()))?);
            }
            keys
        }
    };
    let order = sort::order_of(ev.meter(), &keys, reverse)?;
    Ok(order
        .into_iter()
        .filter_map(|index| items.get(index).cloned())
        .collect())
}
