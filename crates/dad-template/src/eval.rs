//! The evaluator: one for both dialects.

mod iterate;
mod settle;

use std::collections::HashMap;
use std::sync::Arc;

use self::iterate::not_iterable;
use crate::access;
use crate::ast::{
    Arguments, Clause, Comprehension, ComprehensionKind, Dialect, DictItem, Expr, FPart, Kind, Lambda,
    Postfix, PostfixOp, Target,
};
use crate::builtins::{self, Builtin};
use crate::call::Args;
use crate::compare::{self, insert};
use crate::error::{EvalError, Result};
use crate::format;
use crate::function::{Callable, Closure, Function, Lazy, Local, is_lazy};
use crate::limits::{Limits, Meter};
use crate::machine::{Flow, GO_ON, Machine, Receiver};
use crate::methods;
use crate::ops;
use crate::scope::Scope;
use crate::value::{Map, Value};

/// A receiver of elements within the evaluator.
pub(crate) type Each<'f, 'a> = &'f mut dyn FnMut(&mut Evaluator<'a>, Value) -> Flow;

/// Evaluates the placeholders of one template: limits and look-ups are shared among them.
pub(crate) struct Evaluator<'a> {
    scope: &'a dyn Scope,
    pub(crate) meter: Meter,
    pub(crate) dialect: Dialect,
    locals: Vec<Local>,
    variables: HashMap<Arc<str>, Option<Value>>,
    steps: HashMap<Arc<str>, Option<Value>>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(scope: &'a dyn Scope, limits: &Limits) -> Self {
        Evaluator {
            scope,
            meter: Meter::new(limits),
            dialect: Dialect::Expr,
            locals: Vec::new(),
            variables: HashMap::new(),
            steps: HashMap::new(),
        }
    }

    pub(crate) fn python(&self) -> bool {
        self.dialect == Dialect::Python
    }

    /// Evaluates a whole placeholder to a value that may leave the evaluator.
    pub(crate) fn placeholder(&mut self, expr: &Expr, dialect: Dialect) -> Result<Value> {
        self.dialect = dialect;
        let value = self.eval(expr)?;
        if is_path(expr) && !matches!(value, Value::Function(_)) {
            return Ok(value);
        }
        match self
            .settle(&value, 0, true)
            .map_err(|error| error.at(expr.at.span()))?
        {
            Some(settled) => Ok(settled),
            None => Ok(value),
        }
    }

    /// A variable by its name, asked for once.
    pub(crate) fn variable(&mut self, name: &Arc<str>) -> Result<Option<Value>> {
        if let Some(known) = self.variables.get(name) {
            return Ok(known.clone());
        }
        let value = self
            .scope
            .variable(name)
            .map_err(|error| EvalError::scope(&format!("the variable `{name}`"), error))?;
        self.variables.insert(Arc::clone(name), value.clone());
        Ok(value)
    }

    fn step(&mut self, reference: &Arc<str>) -> Result<Value> {
        let known = match self.steps.get(reference) {
            Some(known) => known.clone(),
            None => {
                let value = self
                    .scope
                    .step(reference)
                    .map_err(|error| EvalError::scope(&format!("the step `{reference}`"), error))?;
                self.steps.insert(Arc::clone(reference), value.clone());
                value
            }
        };
        known.ok_or_else(|| EvalError::undefined(format!("the step `{reference}` is undefined")))
    }

    fn local(&self, name: &str) -> Option<&Value> {
        self.locals
            .iter()
            .rev()
            .find(|local| *local.name == *name)
            .map(|local| &local.value)
    }

    fn name(&mut self, name: &Arc<str>) -> Result<Value> {
        if let Some(value) = self.local(name) {
            return Ok(value.clone());
        }
        if let Some(value) = self.variable(name)? {
            return Ok(value);
        }
        if self.python()
            && let Some(builtin) = Builtin::by_name(name)
        {
            return Ok(Value::Function(Function::new(Callable::Builtin(builtin))));
        }
        let error = EvalError::undefined(format!("`{name}` is undefined"));
        Err(match &**name {
            "true" => error.hint("in `py:` expressions write `True`"),
            "false" => error.hint("in `py:` expressions write `False`"),
            "null" => error.hint("in `py:` expressions write `None`"),
            _ => error,
        })
    }

    pub(crate) fn eval(&mut self, expr: &Expr) -> Result<Value> {
        self.meter
            .steps(1)
            .and_then(|()| self.meter.enter())
            .map_err(|error| error.at(expr.at.span()))?;
        let result = self.node(&expr.kind);
        self.meter.leave();
        result.map_err(|error| error.at(expr.at.span()))
    }

    /// The kinds are spread over functions of their own: a frame here counts for every level of nesting.
    fn node(&mut self, kind: &Kind) -> Result<Value> {
        match kind {
            Kind::Null => Ok(Value::Null),
            Kind::Bool(b) => Ok(Value::Bool(*b)),
            Kind::Int(int) => Ok(Value::Int(int.clone())),
            Kind::Float(float) => Ok(Value::Float(*float)),
            Kind::Str(text) => Ok(Value::Str(Arc::clone(text))),
            Kind::Name(name) => self.name(name),
            Kind::Hier(reference) => self.step(reference),
            Kind::Postfix(base, ops) => self.postfix(base, ops),
            Kind::Compare(first, rest) => self.comparison(first, rest),
            Kind::Binary(first, rest) => self.chain(first, rest),
            Kind::And(operands) => self.first_with(operands, false),
            Kind::Or(operands) => self.first_with(operands, true),
            Kind::Coalesce(operands) => self.coalesce(operands),
            Kind::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.eval(condition)?.is_true() {
                    self.eval(then)
                } else {
                    self.eval(otherwise)
                }
            }
            Kind::Unary(op, operand) => ops::unary(*op, &self.eval(operand)?),
            Kind::Power(operands) => {
                let [base, exponent] = &**operands;
                let (base, exponent) = (self.eval(base)?, self.eval(exponent)?);
                ops::power(&mut self.meter, &base, &exponent)
            }
            Kind::FString(parts) => self.fstring(parts).map(Value::from),
            Kind::List(items) => Ok(Value::List(Arc::new(self.elements(items)?))),
            Kind::Tuple(items) => Ok(Value::tuple(self.elements(items)?)),
            Kind::Set(items) => self.set(items),
            Kind::Dict(items) => self.dict(items),
            Kind::Star(_) => Err(EvalError::type_(
                "`*` belongs into a list, a tuple, a set or a call",
            )),
            Kind::Lambda(lambda) => self.lambda(lambda),
            Kind::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn chain(&mut self, first: &Expr, rest: &[(crate::ast::BinaryOp, Expr)]) -> Result<Value> {
        let mut value = self.eval(first)?;
        for (op, operand) in rest {
            let other = self.eval(operand)?;
            value = ops::binary(&mut self.meter, *op, &value, &other)?;
        }
        Ok(value)
    }

    fn comparison(&mut self, first: &Expr, rest: &[(crate::ast::CompareOp, Expr)]) -> Result<Value> {
        let mut left = self.eval(first)?;
        for (op, operand) in rest {
            let mut right = self.eval(operand)?;
            if matches!(op, crate::ast::CompareOp::In | crate::ast::CompareOp::NotIn) && is_lazy(&right) {
                right = Value::from(self.collect(&right)?);
            }
            if !compare::compare(&mut self.meter, *op, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// The first operand whose truth is `wanted`, else the last.
    fn first_with(&mut self, operands: &[Expr], wanted: bool) -> Result<Value> {
        let mut value = Value::Null;
        for operand in operands {
            value = self.eval(operand)?;
            if value.is_true() == wanted {
                break;
            }
        }
        Ok(value)
    }

    fn coalesce(&mut self, operands: &[Expr]) -> Result<Value> {
        let Some((last, caught)) = operands.split_last() else {
            return Ok(Value::Null);
        };
        for operand in caught {
            let (depth, locals) = (self.meter.depth, self.locals.len());
            match self.eval(operand) {
                Ok(Value::Null) => {}
                Ok(value) => return Ok(value),
                Err(error) if error.is_undefined() => {
                    self.meter.depth = depth;
                    self.locals.truncate(locals);
                }
                Err(error) => return Err(error),
            }
        }
        self.eval(last)
    }

    fn elements(&mut self, items: &[Expr]) -> Result<Vec<Value>> {
        self.meter.elements(items.len() as u64)?;
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            match &item.kind {
                Kind::Star(inner) => {
                    let spread = self.eval(inner)?;
                    self.iterate(&spread, &mut |evaluator, value| {
                        evaluator.meter.elements(1)?;
                        values.push(value);
                        GO_ON
                    })?;
                }
                _ => values.push(self.eval(item)?),
            }
        }
        Ok(values)
    }

    fn set(&mut self, items: &[Expr]) -> Result<Value> {
        let values = self.elements(items)?;
        builtins::make_set(self, values)
    }

    fn dict(&mut self, items: &[DictItem]) -> Result<Value> {
        let mut map = Map::new();
        for item in items {
            match item {
                DictItem::Entry(key, value) => {
                    let key = self.eval(key)?;
                    let value = self.eval(value)?;
                    insert(&mut self.meter, &mut map, key, value)?;
                }
                DictItem::Spread(other) => match self.eval(other)? {
                    Value::Object(object) => {
                        for (key, value) in &object.0 {
                            insert(&mut self.meter, &mut map, key.0.clone(), value.clone())?;
                        }
                    }
                    other => {
                        return Err(EvalError::type_(format!(
                            "`**` needs an object, not {}",
                            other.type_name()
                        )));
                    }
                },
            }
        }
        Ok(Value::map(map))
    }

    fn lambda(&mut self, lambda: &Arc<Lambda>) -> Result<Value> {
        let mut locals = self.captured()?;
        // Defaults are evaluated now and travel as locals in front of the parameters.
        for (name, default) in &lambda.parameters {
            if let Some(default) = default {
                let value = self.eval(default)?;
                locals.push(Local {
                    name: Arc::clone(name),
                    value,
                });
            }
        }
        let closure = Closure {
            code: Arc::clone(lambda),
            locals,
        };
        Ok(Value::Function(Function::new(Callable::Lambda(closure))))
    }

    fn captured(&mut self) -> Result<Vec<Local>> {
        self.meter.elements(self.locals.len() as u64 + 2)?;
        Ok(self.locals.clone())
    }

    fn fstring(&mut self, parts: &[FPart]) -> Result<String> {
        let mut out = String::new();
        for part in parts {
            match part {
                FPart::Text(text) => {
                    self.meter.text(text.len())?;
                    out.push_str(text);
                }
                FPart::Field {
                    value,
                    conversion,
                    spec,
                } => {
                    let mut value = self.eval(value)?;
                    if conversion.is_some() {
                        value = Value::from(format::converted(&mut self.meter, &value, *conversion)?);
                    }
                    self.meter.enter()?;
                    let spec = self.fstring(spec);
                    self.meter.leave();
                    let text = format::format_value(&mut self.meter, &value, &spec?)?;
                    self.meter.text(text.len())?;
                    out.push_str(&text);
                }
            }
        }
        Ok(out)
    }

    fn postfix(&mut self, base: &Expr, ops: &[Postfix]) -> Result<Value> {
        let (mut value, rest) = match self.direct_call(base, ops)? {
            Some(value) => (value, ops.get(1..).unwrap_or_default()),
            None => (self.eval(base)?, ops),
        };
        for op in rest {
            value = self
                .apply(&value, &op.op)
                .map_err(|error| error.at(base.at.span().to(op.at.span())))?;
        }
        Ok(value)
    }

    /// A call of a function by its name. Values are never functions, so a variable of that name does not hide it.
    fn direct_call(&mut self, base: &Expr, ops: &[Postfix]) -> Result<Option<Value>> {
        let (Kind::Name(name), Some(op)) = (&base.kind, ops.first()) else {
            return Ok(None);
        };
        let (builtin, arguments) = match &op.op {
            PostfixOp::Call(arguments) => (Builtin::by_name(name), arguments),
            PostfixOp::Method(method, arguments) => (builtins::in_module(name, method), arguments),
            _ => return Ok(None),
        };
        match builtin {
            Some(builtin) if self.local(name).is_none() => {
                let args = self.arguments(arguments)?;
                let result = builtins::call(self, builtin, args);
                result
                    .map(Some)
                    .map_err(|error| error.at(base.at.span().to(op.at.span())))
            }
            _ => Ok(None),
        }
    }

    fn apply(&mut self, value: &Value, op: &PostfixOp) -> Result<Value> {
        self.meter.steps(1)?;
        match op {
            PostfixOp::Attribute(name) => self.attribute(value, name),
            PostfixOp::Index(index) => {
                let index = self.eval(index)?;
                access::subscript(&mut self.meter, value, &index)
            }
            PostfixOp::Slice(parts) => {
                let mut bounds = [Value::Null, Value::Null, Value::Null];
                for (bound, part) in bounds.iter_mut().zip(parts.iter()) {
                    if let Some(part) = part {
                        *bound = self.eval(part)?;
                    }
                }
                let [start, stop, step] = &bounds;
                access::slice(&mut self.meter, value, [start, stop, step])
            }
            PostfixOp::Call(arguments) => {
                if !matches!(value, Value::Function(_)) {
                    return Err(EvalError::type_(format!(
                        "{} cannot be called",
                        value.type_name()
                    )));
                }
                let args = self.arguments(arguments)?;
                self.call(value, args)
            }
            PostfixOp::Method(name, arguments) => {
                if access::is_internal(name) {
                    return Err(EvalError::missing(format!("no method `{name}`")));
                }
                let args = self.arguments(arguments)?;
                methods::call(self, value, name, args)
            }
        }
    }

    fn attribute(&mut self, value: &Value, name: &Arc<str>) -> Result<Value> {
        let has_key = value.get(name).is_some();
        if self.python() && !has_key && !access::is_internal(name) {
            let method = match value {
                Value::Function(function) => match function.callable() {
                    Callable::Builtin(builtin) if methods::of_type(*builtin, name) => {
                        Some(Callable::Unbound(*builtin, Arc::clone(name)))
                    }
                    _ => None,
                },
                value if methods::exists(value, name) => {
                    Some(Callable::Bound(value.clone(), Arc::clone(name)))
                }
                _ => None,
            };
            if let Some(method) = method {
                self.meter.elements(1)?;
                return Ok(Value::Function(Function::new(method)));
            }
        }
        access::attribute(value, name)
    }

    fn arguments(&mut self, arguments: &Arguments) -> Result<Args> {
        let positional = self.elements(&arguments.positional)?;
        let mut keywords: Vec<(Arc<str>, Value)> = Vec::new();
        for (name, value) in &arguments.keywords {
            let value = self.eval(value)?;
            match (name, value) {
                (Some(name), value) => keywords.push((Arc::clone(name), value)),
                (None, Value::Object(object)) => {
                    self.meter.entries(object.len() as u64)?;
                    for (key, value) in &object.0 {
                        let Value::Str(key) = &key.0 else {
                            return Err(EvalError::type_("the name of an argument must be text"));
                        };
                        if object.len() + keywords.len() > 64 {
                            return Err(EvalError::limit("a call has more than 64 arguments with names"));
                        }
                        keywords.push((Arc::clone(key), value.clone()));
                    }
                }
                (None, other) => {
                    return Err(EvalError::type_(format!(
                        "`**` needs an object, not {}",
                        other.type_name()
                    )));
                }
            }
        }
        for (index, (name, _)) in keywords.iter().enumerate() {
            if keywords.iter().take(index).any(|(other, _)| other == name) {
                return Err(EvalError::type_(format!("the argument `{name}` is given twice")));
            }
        }
        Ok(Args { positional, keywords })
    }

    pub(crate) fn call(&mut self, function: &Value, args: Args) -> Result<Value> {
        let Value::Function(function) = function else {
            return Err(EvalError::type_(format!(
                "{} cannot be called",
                function.type_name()
            )));
        };
        self.meter.steps(1)?;
        match function.callable() {
            Callable::Builtin(builtin) => builtins::call(self, *builtin, args),
            Callable::Bound(value, name) => methods::call(self, value, name, args),
            Callable::Unbound(builtin, name) => methods::call_unbound(self, *builtin, name, args),
            Callable::Lambda(closure) => self.call_lambda(closure, args),
            Callable::Lazy(_) => Err(EvalError::type_("an iterator cannot be called")),
        }
    }

    fn call_lambda(&mut self, closure: &Closure<Lambda>, args: Args) -> Result<Value> {
        let parameters = &closure.code.parameters;
        if args.positional.len() > parameters.len() {
            return Err(EvalError::type_(format!(
                "the lambda takes {} arguments",
                parameters.len()
            )));
        }
        self.meter
            .elements((closure.locals.len() + parameters.len()) as u64)?;
        let mut locals = closure.locals.clone();
        let mut positional = args.positional.into_iter();
        let mut keywords = args.keywords;
        for (name, default) in parameters {
            let keyword = keywords.iter().position(|(keyword, _)| keyword == name);
            let value = match (positional.next(), keyword) {
                (Some(_), Some(_)) => {
                    return Err(EvalError::type_(format!("the argument `{name}` is given twice")));
                }
                (Some(value), None) => value,
                (None, Some(at)) => keywords.swap_remove(at).1,
                (None, None) if default.is_some() => continue,
                (None, None) => return Err(EvalError::type_(format!("the argument `{name}` is missing"))),
            };
            locals.push(Local {
                name: Arc::clone(name),
                value,
            });
        }
        if let Some((name, _)) = keywords.first() {
            return Err(EvalError::type_(format!("the lambda has no argument `{name}`")));
        }
        let outer = std::mem::replace(&mut self.locals, locals);
        let result = self.eval(&closure.code.body);
        self.locals = outer;
        result
    }

    fn comprehension(&mut self, comprehension: &Arc<Comprehension>) -> Result<Value> {
        let Some(clause) = comprehension.clauses.first() else {
            return Ok(Value::Null);
        };
        let first = self.eval(&clause.iterable)?;
        if !is_iterable(&first) {
            return Err(not_iterable(&first));
        }
        let base = self.locals.len();
        let result = match comprehension.kind {
            ComprehensionKind::Generator => {
                let closure = Closure {
                    code: Arc::clone(comprehension),
                    locals: self.captured()?,
                };
                let lazy = Lazy::Generator(closure, first);
                return Ok(Value::Function(Function::new(Callable::Lazy(lazy))));
            }
            ComprehensionKind::List | ComprehensionKind::Set => {
                let mut items = Vec::new();
                self.clauses(comprehension, 0, Some(&first), &mut |evaluator| {
                    let value = evaluator.eval(&comprehension.element)?;
                    evaluator.meter.elements(1)?;
                    items.push(value);
                    GO_ON
                })?;
                if comprehension.kind == ComprehensionKind::Set {
                    builtins::make_set(self, items)
                } else {
                    Ok(Value::List(Arc::new(items)))
                }
            }
            ComprehensionKind::Dict => {
                let mut map = Map::new();
                self.clauses(comprehension, 0, Some(&first), &mut |evaluator| {
                    let key = evaluator.eval(&comprehension.element)?;
                    let value = match &comprehension.value {
                        Some(value) => evaluator.eval(value)?,
                        None => Value::Null,
                    };
                    insert(&mut evaluator.meter, &mut map, key, value)?;
                    GO_ON
                })?;
                Ok(Value::map(map))
            }
        };
        self.locals.truncate(base);
        result
    }

    /// Runs `body` for every combination that the clauses from `index` on choose.
    fn clauses(
        &mut self,
        comprehension: &Comprehension,
        index: usize,
        first: Option<&Value>,
        body: &mut dyn FnMut(&mut Self) -> Flow,
    ) -> Flow {
        let Some(Clause {
            target,
            iterable,
            conditions,
        }) = comprehension.clauses.get(index)
        else {
            return body(self);
        };
        let iterable = match first {
            Some(first) => first.clone(),
            None => self.eval(iterable)?,
        };
        let base = self.locals.len();
        self.meter.enter()?;
        let flow = self.iterate(&iterable, &mut |evaluator, item| {
            evaluator.bind(target, item)?;
            for condition in conditions {
                if !evaluator.eval(condition)?.is_true() {
                    evaluator.locals.truncate(base);
                    return GO_ON;
                }
            }
            let flow = evaluator.clauses(comprehension, index + 1, None, body);
            evaluator.locals.truncate(base);
            flow
        });
        self.meter.leave();
        flow
    }

    fn bind(&mut self, target: &Target, value: Value) -> Result<()> {
        match target {
            Target::Name(name) | Target::Star(name) => {
                self.locals.push(Local {
                    name: Arc::clone(name),
                    value,
                });
                Ok(())
            }
            Target::Tuple(targets) => {
                let values = self.collect(&value)?;
                let star = targets
                    .iter()
                    .position(|target| matches!(target, Target::Star(_)));
                let fits = match star {
                    None => values.len() == targets.len(),
                    Some(_) => values.len() + 1 >= targets.len(),
                };
                if !fits {
                    let wanted = targets.len();
                    return Err(EvalError::value(format!(
                        "{} values for {wanted} names",
                        values.len()
                    )));
                }
                let spare = values.len() + 1 - targets.len().min(values.len() + 1);
                let mut values = values.into_iter();
                for target in targets {
                    let value = match target {
                        Target::Star(_) => Value::list(values.by_ref().take(spare)),
                        _ => values.next().unwrap_or_default(),
                    };
                    self.bind(target, value)?;
                }
                Ok(())
            }
        }
    }
}

impl Machine for Evaluator<'_> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }

    fn python(&self) -> bool {
        Evaluator::python(self)
    }

    fn iterate(&mut self, value: &Value, each: Receiver<'_>) -> Flow {
        Evaluator::iterate(self, value, &mut |evaluator, item| each(evaluator, item))
    }

    fn collect(&mut self, value: &Value) -> Result<Vec<Value>> {
        Evaluator::collect(self, value)
    }

    fn call(&mut self, function: &Value, args: Args) -> Result<Value> {
        Evaluator::call(self, function, args)
    }
}

fn is_iterable(value: &Value) -> bool {
    !matches!(
        value,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_)
    ) && (!matches!(value, Value::Function(_)) || is_lazy(value))
}

/// Whether the expression only reads what the scope holds: such a value is fit to leave as it is.
fn is_path(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Name(_)
        | Kind::Hier(_)
        | Kind::Str(_)
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_) => true,
        Kind::Postfix(base, ops) => {
            matches!(base.kind, Kind::Name(_) | Kind::Hier(_))
                && ops
                    .iter()
                    .all(|op| matches!(op.op, PostfixOp::Attribute(_) | PostfixOp::Index(_)))
        }
        _ => false,
    }
}
