//! Templates written to exhaust time or memory, or to leave the sandbox.
//!
//! Memory is measured in a process of its own, where nothing else runs: the allocator there refuses whatever is
//! more than 64 MiB above what was in use before the attack, which aborts the process.

use std::process::Command;
use std::time::{Duration, Instant};

use dad_template::{Limits, Template, Value};
use serde_json::json;

use crate::ALLOCATOR;
use crate::scope::TestScope;

const CHILD: &str = "DHENARA_TEMPLATE_ATTACKS";
const MEMORY: usize = 64 << 20;
/// Far above what any of them takes, also in a debug build on a busy machine.
const TIME: Duration = Duration::from_secs(30);

/// Expressions that must end in an error of a code.
const LIMIT: &[&str] = &[
    "[0] * 10**9",
    "(0,) * 10**9",
    "'a' * 10**9",
    "'a' * 10**30",
    "[[0] * 1000] * 10**9",
    "sum(1 for a in range(10**6) for b in range(10**6) for c in range(10**6))",
    "[a for a in range(10**6) for b in range(10**6)]",
    "list(range(10**9))",
    "sorted(range(10**9))",
    "set(range(10**9))",
    "[*range(10**9)]",
    "{a: a for a in range(10**9)}",
    "dict(enumerate(range(10**9)))",
    "list(zip(range(10**9), range(10**9)))",
    "list(map(str, range(10**9)))",
    "next(x for x in range(10**9) if x < 0)",
    "-1 in (x for x in range(10**9))",
    "10**10**10",
    "2**(2**40)",
    "1 << 10**9",
    "1 << 10**30",
    "[10**300000 for a in range(10**6)]",
    "[10**200000 * 10**100000 for a in range(10**6)]",
    "[10**200000 // 7**100000 for a in range(10**6)]",
    "'{:1000000000}'.format(1)",
    "'{:{}}'.format(1, 10**9)",
    "'{:.1000000000f}'.format(1.5)",
    "'{:01000000000,d}'.format(1)",
    "'%1000000000d' % 1",
    "'%.1000000000f' % 1.5",
    "'%.1000000000d' % 1",
    "'%*d' % (10**9, 1)",
    "f'{1:{10**9}}'",
    "format('a', '1000000000')",
    "'a'.ljust(10**9)",
    "'a'.rjust(10**9, 'é')",
    "'a'.center(10**9)",
    "'1'.zfill(10**9)",
    "'\\t'.expandtabs(10**9)",
    "big.replace('', big)",
    "big.replace('x', big)",
    "big.join(big)",
    "big.join([big] * 1000)",
    "'-'.join(big for a in range(10**6))",
    "[big + big for a in range(10**6)]",
    "[big.upper() for a in range(10**6)]",
    "[big.find('y') for a in range(10**6)]",
    "[big[-i] for i in range(300000, 400000)]",
    "[len(big) for a in range(10**6)]",
    "[big == big2 for a in range(10**6)]",
    "[big.split('x') for a in range(100)]",
    "[big.strip(big) for a in range(10**6)]",
    "[s + 'x' for a in range(10000) for s in ['y' * a]]",
    "[[x for x in range(a)] for a in range(10000)]",
    "json.dumps([big] * 1000)",
    "json.dumps(1, indent=10**9)",
    "json.dumps([[1]], indent=10**7)",
    "json.loads('[' * 100000)",
    "json.loads('[' + '1,' * 1000000 + '1]')",
    "repr([[big] * 100] * 100)",
    "[[[[[0] * 100] * 100] * 100] * 100] * 100",
    "[[[[[0] * 100] * 100] * 100] * 100] * 100 == [[[[[0] * 100] * 100] * 100] * 100] * 100 + []",
    "hex(1 << 1000000) * 1000",
    "(lambda f: f(f))(lambda f: f(f))",
    "(lambda f: f(f, 1))(lambda f, n: f(f, n + 1) + 1)",
    "(lambda f: f(f))(lambda f: [f(f)])",
    "(lambda f: f(f))(lambda f: [x for x in f(f)])",
    "(lambda f: f(f))(lambda f: sorted([1, 2], key=lambda x: f(f)))",
    "(lambda f: f(f))(lambda f: list(map(lambda x: f(f), [1])))",
    "(lambda f: f(f))(lambda f: max([1, 2], key=lambda x: f'{f(f)}'))",
    "(lambda f, a: f(f, a))(lambda f, a: f(f, [a, a]), 1)",
];

/// Expressions near the limits: whether they are met or not, the memory is that of the limits.
const NEAR: &[&str] = &[
    "'{:.20000000f}'.format(1.5)",
    "'{:.7000000f}'.format(1.5)",
    "'%.20000000d' % 1",
    "'%.11000000d' % 1",
    "'{:20000000}'.format(1)",
    "'{:011000000,d}'.format(1)",
    "repr('\\x00' * 2000000)",
    "json.dumps('\\x00' * 1500000)",
    "f\"{'é' * 400000!a}\"",
    "'a' * 11000000",
    "[0] * 480000",
    "list(range(480000))",
    "[i for i in range(480000)]",
    "[[] for i in range(200000)]",
    "[(i,) for i in range(100000)]",
    "('x' * 5000000).upper()",
    "('ΐ' * 1300000).upper()",
    "'x' * 7000000 + 'y'",
    "sh('\\'' * 4000000)",
    "sh('\\'' * 900000)",
    "f\"{'x' * 5000000!r:>6000000}\"",
    "'é'.center(10**7)",
    "list('x' * 270000)",
    "('x ' * 250000).split()",
    "('x' * 250000).replace('', 'yyy')",
    "{i: i for i in range(150000)}",
    "{str(i): i for i in range(100000)}",
    "set(range(150000))",
    "sorted(range(150000), key=lambda i: -i)",
    "list(zip(range(100000), range(100000)))",
    "json.loads('[' + '1,' * 400000 + '1]')",
    "json.loads('[' + '[],' * 200000 + '1]')",
    "json.loads('{' + ','.join(f'\"{i}\":1' for i in range(60000)) + '}')",
];

/// There is no such thing, wherever one reaches for it.
const UNREACHABLE: &[&str] = &[
    "().__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__",
    "[c for c in ().__class__.__base__.__subclasses__()][0].__name__",
    "__import__('os')",
    "open('/etc/passwd')",
    "getattr(x, '__class__')",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "globals()",
    "vars(x)",
    "dir(x)",
    "type(x)",
    "print(1)",
    "input()",
    "setattr(x, 'a', 1)",
    "hasattr(x, 'items')",
    "object()",
    "(lambda: 1).__globals__",
    "(lambda: 1).__code__",
    "len.__self__",
    "str.__class__",
    "str.__subclasses__()",
    "(x for x in []).gi_frame",
    "json.codecs",
    "json.__loader__",
    "json.decoder.scanner",
    "x.__class__",
    "x.__init__.__globals__",
    "'{0.__class__}'.format(x)",
    "'{0.__class__.__init__.__globals__}'.format(x)",
    "'{0[__class__]}'.format([])",
    "'{x.__class__}'.format(x=1)",
    "'{0:{0.__class__}}'.format(1)",
    "f'{x.__class__}'",
    "'%(__class__)s' % {}",
    "str.format('{0.__class__}', x)",
    "list(map('{0.__class__}'.format, [1]))",
    "sorted([1, 2], key=(1).__class__)",
    "__builtins__",
    "self",
];

fn scope() -> TestScope {
    TestScope::with(&json!({
        "x": {"a": 1},
        "big": "x".repeat(1 << 20),
        "big2": format!("{}y", "x".repeat((1 << 20) - 1)),
    }))
}

/// Runs a template as an attack: the memory is limited, and nothing may exceed the counters.
fn attack(source: &str) -> Result<Value, String> {
    let scope = scope();
    ALLOCATOR.set_limit(ALLOCATOR.allocated() + MEMORY).unwrap();
    let start = Instant::now();
    let limits = Limits::default();
    let result = match Template::parse(source) {
        Err(error) => Err(error.code().to_owned()),
        Ok(template) => {
            let (value, counters) = template.evaluate_counted(&scope, &limits);
            assert!(
                counters.steps <= limits.steps
                    && counters.bytes <= limits.bytes
                    && counters.depth <= limits.depth
            );
            value.map_err(|error| error.code().to_owned())
        }
    };
    let elapsed = start.elapsed();
    let shown: String = source.chars().take(80).collect();
    println!(
        "{:>6} ms {shown} {:?}",
        elapsed.as_millis(),
        result.as_ref().err()
    );
    assert!(elapsed < TIME, "{shown} took {elapsed:?}");
    ALLOCATOR.set_limit(usize::MAX).unwrap();
    result
}

#[test]
fn attacks_end_in_the_limit_error_within_64_mib() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["attacks::in_a_process_of_its_own", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("every attack was met"), "{text}");
}

/// The body of the test above.
#[test]
fn in_a_process_of_its_own() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let limit = Err("template_limit".to_owned());
    for source in LIMIT {
        assert_eq!(attack(&format!("$expr{{py: {source}}}")), limit, "{source}");
    }
    for source in NEAR {
        let _ = attack(&format!("$expr{{py: {source}}}"));
    }
    for source in UNREACHABLE {
        let error = attack(&format!("$expr{{py: {source}}}")).expect_err(source);
        assert!(
            error == "template_undefined" || error == "template_missing_key",
            "{source}: {error}"
        );
    }
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("-", ""),
        ("not ", ""),
        ("{1: ", "}"),
        ("len(", ")"),
        ("lambda: ", ""),
    ] {
        let source = format!("$expr{{py: {}1{}}}", open.repeat(10_000), close.repeat(10_000));
        assert_eq!(attack(&source), limit, "{open}");
        assert_eq!(
            attack(&format!("$expr{{py: {}1", open.repeat(10_000))),
            limit,
            "{open}"
        );
    }
    for unit in ["!", "x ? 1 : ", "2 ** ", "a[", "f(", "{\"a\": "] {
        let source = format!("$expr{{{}1}}", unit.repeat(10_000));
        assert_eq!(attack(&source), limit, "{unit}");
    }
    let nested = "f'{".repeat(10_000);
    assert_eq!(attack(&format!("$expr{{py: {nested}1")), limit);
    // Long chains are not deep: they are counted as parts, and below that they work.
    assert_eq!(
        attack(&format!("$expr{{1{}}}", "+1".repeat(20_000))),
        Ok(Value::from(20_001))
    );
    assert_eq!(attack(&format!("$expr{{1{}}}", "+1".repeat(1_000_000))), limit);
    assert_eq!(attack(&format!("$expr{{[{}]}}", "1,".repeat(1_000_000))), limit);
    assert_eq!(attack(&"$var{x}".repeat(1_000_000)), limit);
    assert_eq!(attack(&"$$var{x".repeat(1_000_000)), limit);
    assert_eq!(
        attack(&format!("$expr{{py: {}}}", "''".repeat(1_000_000))),
        Ok(Value::from(""))
    );
    assert_eq!(
        attack(&format!("$expr{{py: [x {}]}}", "for x in [1] ".repeat(10_000))),
        limit
    );
    assert_eq!(
        attack(&format!("$expr{{x{}}}", ".a".repeat(90_000))),
        Err("template_missing_key".to_owned())
    );
    let text = "a".repeat(50 << 20);
    assert_eq!(attack(&text), limit);
    let text = "$".repeat(50 << 20);
    assert_eq!(attack(&text), limit);
    println!("every attack was met");
}

/// Threads of a runtime have 2 MiB of stack; less must do, in a debug build too.
#[test]
fn the_deepest_template_fits_a_small_stack() {
    let run = || {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{1: ", "}"),
            ("len([", "])"),
            ("f'{", "}'"),
            ("(lambda: ", ")()"),
            ("[x for x in [", "]]"),
            ("(1 if ", " else 2)"),
            ("a or b and c == d | e ^ f & g << h + i * -(", ")"),
        ] {
            for depth in 1..70 {
                let source = format!("$expr{{py: {}1{}}}", open.repeat(depth), close.repeat(depth));
                let Ok(template) = Template::parse(&source) else {
                    continue;
                };
                let printed = Template::parse(&template.to_string()).unwrap();
                assert_eq!(template, printed);
                let _ = template.evaluate(&scope(), &Limits::default().with_depth(u32::MAX));
            }
        }
        for source in LIMIT.iter().filter(|source| source.starts_with("(lambda")) {
            let template = Template::parse(&format!("$expr{{py: {source}}}")).unwrap();
            template
                .evaluate(&scope(), &Limits::default().with_depth(u32::MAX))
                .unwrap_err();
        }
    };
    std::thread::Builder::new()
        .stack_size(3 << 19)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}
