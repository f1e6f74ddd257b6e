//! Compiled scripts, and their execution by shells.

use super::quoting::expansion;
use super::*;

/// The text that the shell reads, or why the command is refused.
fn script(text: &str) -> Result<String, String> {
    match read(text).unwrap_or_else(|| panic!("{text} is no template")) {
        Ok(CommandText::Script(script)) => Ok(script.text(expansion)),
        Ok(other) => panic!("{text} has no values: {other:?}"),
        Err(refusal) => Err(format!("{}; {}", refusal.message, refusal.hint)),
    }
}

#[test]
fn a_placeholder_becomes_one_quoted_word() {
    let cases = [
        ("echo $expr{x}", "echo \"${dad_1}\""),
        (
            "echo \"a $expr{x} b\" $var{y}",
            "echo \"a ${dad_1} b\" \"${dad_2}\"",
        ),
        ("echo a$expr{x}b", "echo a\"${dad_1}\"b"),
        ("echo ~$var{u} --x=$var{x}", "echo ~\"${dad_1}\" --x=\"${dad_2}\""),
        (
            "echo \"$(grep $expr{x} \"f $expr{y}\") $expr{z}\"",
            "echo \"$(grep \"${dad_1}\" \"f ${dad_2}\") ${dad_3}\"",
        ),
        ("echo $((1 + 2)) $expr{x}", "echo $((1 + 2)) \"${dad_1}\""),
        (
            "echo 'single' $expr{x} # don't\necho $expr{y}",
            "echo 'single' \"${dad_1}\" # don't\necho \"${dad_2}\"",
        ),
        ("# don't\necho $expr{x}", "# don't\necho \"${dad_1}\""),
        ("echo a#b 'c' $expr{x}", "echo a#b 'c' \"${dad_1}\""),
        ("echo \\' $expr{x}", "echo \\' \"${dad_1}\""),
        ("(echo $expr{x})", "(echo \"${dad_1}\")"),
        ("! grep -q $var{x} f", "! grep -q \"${dad_1}\" f"),
        ("echo a\\ b \\\n $var{x}", "echo a\\ b \\\n \"${dad_1}\""),
        (">&2 echo $var{x}", ">&2 echo \"${dad_1}\""),
        ("cmd > $var{x} 2>&1", "cmd > \"${dad_1}\" 2>&1"),
        (
            "x=$var{a}$var{b}; export A=$var{c}",
            "x=\"${dad_1}\"\"${dad_2}\"; export A=\"${dad_3}\"",
        ),
        ("A=$var{a} make", "A=\"${dad_1}\" make"),
        (
            "cat <<EOF\n$var{x} $(echo $var{y})\nEOF",
            "cat <<EOF\n${dad_1} $(echo \"${dad_2}\")\nEOF",
        ),
        (
            "git commit -m \"$(cat <<EOF\n$var{m}\nEOF\n)\"",
            "git commit -m \"$(cat <<EOF\n${dad_1}\nEOF\n)\"",
        ),
        (
            "case $var{x} in a) echo $var{y};; esac",
            "case \"${dad_1}\" in a) echo \"${dad_2}\";; esac",
        ),
        (
            "f() { rm -rf \"build/$var{v}\"; }; f tmp",
            "f() { rm -rf \"build/${dad_1}\"; }; f tmp",
        ),
        (
            "ls | while read l; do echo \"$l $var{x}\"; done",
            "ls | while read l; do echo \"$l ${dad_1}\"; done",
        ),
        (
            "$var{dir}/bin/python a $var{y}",
            "\"${dad_1}\"/bin/python a \"${dad_2}\"",
        ),
        (
            "sh -c 'echo \"$1\"' sh $var{x}",
            "sh -c 'echo \"$1\"' sh \"${dad_1}\"",
        ),
        (
            "python3 -c 'print(1)' $var{x}",
            "python3 -c 'print(1)' \"${dad_1}\"",
        ),
        (
            "awk -v x=\"$var{v}\" '{print x}' f",
            "awk -v x=\"${dad_1}\" '{print x}' f",
        ),
        (
            "find $var{d} -exec sh -c 'echo \"$1\"' _ {} \\;",
            "find \"${dad_1}\" -exec sh -c 'echo \"$1\"' _ {} \\;",
        ),
        (
            "sh -c \"$code\" sh $var{a} $var{b}",
            "sh -c \"$code\" sh \"${dad_1}\" \"${dad_2}\"",
        ),
        (
            "python3 \"$script\" $var{a} $var{b}",
            "python3 \"$script\" \"${dad_1}\" \"${dad_2}\"",
        ),
        ("bash < $var{f}", "bash < \"${dad_1}\""),
        ("ssh -p 22 $var{host} uptime", "ssh -p 22 \"${dad_1}\" uptime"),
    ];
    for (text, wanted) in cases {
        assert_eq!(script(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn anywhere_else_a_placeholder_is_refused_with_the_right_form() {
    // A part of the message, and one of the hint.
    let cases = [
        ("echo '$var{x}'", "inside single quotes", "write `\"$var{x}\"`"),
        (
            "grep 'a $var{x} b' f",
            "inside single quotes",
            "`'…'\"$var{x}\"'…'`",
        ),
        ("echo `cat $var{x}`", "inside backticks", "`$( … )`"),
        ("echo \"`cat $var{x}`\"", "inside backticks", "`$( … )`"),
        (
            "echo $((1 + $var{x}))",
            "in arithmetic",
            "let the template calculate",
        ),
        (
            "echo \"$[1 + $var{x}]\"",
            "in arithmetic",
            "let the template calculate",
        ),
        ("((x = $var{x}))", "in arithmetic", "let the template calculate"),
        ("a[$var{x}]=1", "in arithmetic", "let the template calculate"),
        (
            "for ((i = 0; i < $var{x}; i++)); do a; done",
            "in arithmetic",
            "let the template calculate",
        ),
        (
            "cat <<EOF\n$((1 + $var{x}))\nEOF",
            "in arithmetic",
            "let the template calculate",
        ),
        ("cat <<EOF\n$[1 + $var{x}]\nEOF", "cannot be read", "as arguments"),
        ("echo \\$var{x}", "after a backslash", "take the backslash away"),
        (
            "echo \"a\\$var{x}\"",
            "after a backslash",
            "take the backslash away",
        ),
        (
            "cat <<'END'\n$var{x}\nEND",
            "begins with `'END'`",
            "take the quotes away",
        ),
        ("cat <<\"END\"\n$var{x}\nEND", "begins with `\"END\"`", "`stdin`"),
        (
            "cat <<\\END\n$var{x}\nEND",
            "begins with `\\END`",
            "take the quotes away",
        ),
        (
            "cat <<-'END' > f\n\tbody\n\t$var{x}\n\tEND",
            "begins with `'END'`",
            "take the quotes away",
        ),
        (
            "git commit -m \"$(cat <<'EOF'\n$var{m}\nEOF\n)\"",
            "begins with `'EOF'`",
            "take the quotes away",
        ),
        ("cat <<EOF\n`echo $var{x}`\nEOF", "behind a backtick", "`$( … )`"),
        (
            "cat <<A <<B\n$var{x}\nA\nb\nB",
            "cannot be read at line 1",
            "as arguments",
        ),
        (
            "cat <<E'O'F\n$var{x}\nEOF",
            "cannot be read at line 1",
            "as arguments",
        ),
        ("x=\"$var{x}", "cannot be read at line 1", "as arguments"),
        (
            "if then $var{x}\na",
            "cannot be read at line 1, `if then $var{x}`",
            "as arguments",
        ),
        ("echo @(a|$var{x})", "cannot be read", "as arguments"),
        (
            "echo ${HOME:-$var{x}}",
            "inside `${…}`",
            "let the template choose",
        ),
        (
            "echo \"${HOME:-$var{x}}\"",
            "inside `${…}`",
            "let the template choose",
        ),
        ("cat <<< $var{x}", "behind `<<<`", "plain `sh`"),
        ("cat <(echo $var{x})", "inside `<( … )`", "plain `sh`"),
        ("[[ $var{x} = a ]]", "inside `[[ … ]]`", "plain `sh`"),
        ("echo {a,$var{x}}", "beside braces", "put the braces into quotes"),
        ("echo $'$var{x}'", "`$'…'`", "plain `sh`"),
        // Where the quotes of `$'a\''` end depends on the shell.
        ("echo $'a\\'' $var{x}", "`$'…'`", "plain `sh`"),
        ("echo $\"$var{x}\"", "inside `$\"…\"`", "plain `sh`"),
        ("cmd $var{x} &> f", "beside `&>`", "plain `sh`"),
        ("cmd &> $var{f}", "beside `&>`", "plain `sh`"),
        ("cmd >& $var{f}", "file descriptor", "the number"),
        ("a=($var{x})", "inside an array", "plain `sh`"),
        ("declare x=$var{x}", "behind `declare`", "plain `sh`"),
        ("select x in $var{x}; do y; done", "in `select`", "plain `sh`"),
        ("$var{x}=1", "in the place of a name", "name=$var{x}"),
        (
            "for $var{x} in a; do b; done",
            "in the place of a name",
            "a fixed name",
        ),
        ("export $var{x}", "in the place of a name", "export NAME=$var{x}"),
        ("unset $var{x}", "in the place of a name", "a fixed name"),
        ("$var{f}() { a; }", "name of a function", "a fixed name"),
        (
            "case a in $var{x}) b;; esac",
            "in a pattern",
            "[ \"$x\" = $var{x} ]",
        ),
        ("echo # $var{x}", "in a comment", "$$var{"),
        ("a\necho $var{y}\n# $var{x}", "in a comment (line 3)", "$$var{"),
        ("$var{x} a", "in the place of the command", "[\"$var{x}\", …]"),
        ("\"$var{x}\" a", "in the place of the command", "[\"$var{x}\", …]"),
        (
            "command $var{x} a",
            "in the place of the command",
            "[\"$var{x}\", …]",
        ),
        ("PS4=$var{x}; set -x", "the value of `PS4`", "another name"),
        ("[ -v $var{x} ]", "among the arguments of `[ -v`", "name=$var{x}"),
        ("! { eval \"$var{x}\"; }", "`{` is not understood", "`( … )`"),
        (
            "echo $var{x} | eval > f a",
            "behind a redirection",
            "before their redirections",
        ),
        ("time { eval \"$var{x}\"; }", "`{` is not understood", "`( … )`"),
        (
            "eval > f a $var{x}",
            "behind a redirection",
            "before their redirections",
        ),
        (
            "cat <<EOF $var{x}\na\nEOF",
            "behind a redirection",
            "before their redirections",
        ),
        ("$var{x} '$var{y}'", "inside single quotes", "write `\"$var{y}\"`"),
        (
            "'a' '$var{y}' $var{x}",
            "inside single quotes",
            "write `\"$var{y}\"`",
        ),
        ("dad_1=2; echo $var{x}", "`dad_1`", "another name"),
    ];
    for (text, message, hint) in cases {
        let refused = script(text).expect_err(text);
        let (reported, hinted) = refused.split_once("; ").unwrap();
        assert!(reported.contains(message), "{text}: {reported}");
        assert!(hinted.contains(hint), "{text}: {hinted}");
    }
}

#[test]
fn what_a_program_reads_as_code_holds_no_value() {
    let cases = [
        (
            "sh -c \"echo $var{x}\"",
            "sh",
            "sh -c '… \"$1\" …' sh \"$var{x}\"",
        ),
        (
            "bash -lc \"echo $var{x}\"",
            "bash",
            "bash -c '… \"$1\" …' bash \"$var{x}\"",
        ),
        ("bash -eo pipefail -c \"echo $var{x}\"", "bash", "\"$1\""),
        ("env A=b sh -c \"$var{x} y\"", "sh", "\"$1\""),
        ("docker exec c sh -c \"ls $var{x}\"", "sh", "\"$1\""),
        ("sh $var{a} $var{b}", "sh", "\"$1\""),
        ("\\eval \"echo $var{x}\"", "eval", "leave `eval` out"),
        ("command eval 'echo' $var{x}", "eval", "leave `eval` out"),
        (
            "trap \"rm $var{x}\" EXIT",
            "trap",
            "value=$var{x}; trap '… \"$value\" …' EXIT",
        ),
        ("ls | xargs sh -c \"echo $var{x}\"", "sh", "\"$1\""),
        ("find . -exec sh -c \"echo $var{x}\" \\;", "sh", "\"$1\""),
        ("echo $var{x} | sh", "sh", "\"$1\""),
        ("echo $var{x} | > f sh", "sh", "\"$1\""),
        ("echo $var{x} | sudo bash -s", "bash", "\"$1\""),
        ("{ echo $var{x}; } | tee f | sh", "sh", "\"$1\""),
        ("cat <<EOF | sh\n$var{x}\nEOF", "sh", "\"$1\""),
        ("sh <<EOF\n$var{x}\nEOF", "sh", "\"$1\""),
        ("python3 - <<EOF\n$var{x}\nEOF", "python3", "sys.argv[1]"),
        (". /dev/stdin <<EOF\n$var{x}\nEOF", ".", "in a file"),
        ("echo $var{x} | xargs -I{} sh -c 'echo {}'", "sh", "\"$1\""),
        ("python3 -c \"print($var{v})\"", "python3", "sys.argv[1]"),
        (
            "uv run python3.12 -Ic \"print($var{v})\"",
            "python3.12",
            "sys.argv[1]",
        ),
        ("perl -ne \"print $var{v}\"", "perl", "env_vars"),
        ("node --eval=$var{x}", "node", "env_vars"),
        ("node -e \"$var{x}\" y", "node", "env_vars"),
        ("awk \"{ print $var{x} }\" f", "awk", "awk -v value=\"$var{x}\""),
        ("awk -F: \"/$var{x}/\" f", "awk", "awk -v value=\"$var{x}\""),
        ("psql db -c \"select $var{x}\"", "psql", "env_vars"),
        ("su postgres -c \"ls $var{x}\"", "su", "env_vars"),
        ("ssh -p 22 host \"ls $var{x}\"", "ssh", "a shell reads it there"),
        ("read $var{x}", "read", "a fixed name"),
        ("printf -v $var{x} a", "printf", "a fixed name"),
        ("printf $var{format} $var{x}", "printf", "a fixed name"),
        ("test $var{a} $var{b}", "test", "a fixed name"),
        ("let x=$var{x}", "let", "a fixed name"),
        ("watch \"ls $var{d}\"", "watch", "env_vars"),
        ("git -c alias.x=\"!ls $var{x}\" x", "git", "env_vars"),
        ("git -c core.sshCommand=$var{x} fetch", "git", "env_vars"),
        ("git -c $var{x}=y status", "git", "env_vars"),
        ("git rebase --exec \"make $var{x}\" main", "git", "env_vars"),
        ("git submodule foreach \"ls $var{x}\"", "git", "env_vars"),
        ("git bisect run ls $var{x}", "git", "env_vars"),
        ("make NAME=$var{x} all", "make", "$$VALUE"),
        ("make -j4 --eval \"a: $var{x}\"", "make", "$$VALUE"),
        ("make $var{x}", "make", "$$VALUE"),
        ("sqlite3 db \"select $var{x}\"", "sqlite3", "env_vars"),
        ("sqlite3 -cmd \".shell $var{x}\" db", "sqlite3", "env_vars"),
        ("deno eval \"$var{x}\"", "deno", "env_vars"),
        ("timeout 5 sh -c \"ls $var{x}\"", "sh", "\"$1\""),
        ("sudo -u x sh -c \"ls $var{x}\"", "sh", "\"$1\""),
        ("php -r \"echo $var{x};\"", "php", "env_vars"),
        ("lua -e \"print($var{x})\"", "lua", "env_vars"),
        ("ruby -e \"puts $var{x}\"", "ruby", "env_vars"),
        ("sh -c [\\ \\;$var{x}", "sh", "\"$1\""),
        ("ev\\\nal a $var{x}", "eval", "leave `eval` out"),
        ("\"$@\"eval a $var{x}", "eval", "leave `eval` out"),
        ("$nothing eval a $var{x}", "eval", "leave `eval` out"),
        ("$1eval a $var{x}", "eval", "leave `eval` out"),
        ("e$(true)val $var{x}", "eval", "leave `eval` out"),
        ("sh $options -c \"$var{x}\"", "sh", "\"$1\""),
        ("/bin/$var{tool} -c $var{x}", "…", "env_vars"),
    ];
    for (text, program, hint) in cases {
        let refused = script(text).expect_err(text);
        let (reported, hinted) = refused.split_once("; ").unwrap();
        assert!(
            reported.contains(&format!("in what `{program}` reads as code")),
            "{text}: {reported}"
        );
        assert!(hinted.contains(hint), "{text}: {hinted}");
    }
}

#[test]
fn what_only_looks_like_code_is_a_word() {
    for text in [
        "git -c user.name=$var{x} commit -m $var{x}",
        "git commit -m \"make NAME=$var{x}\" -- $var{x}",
        "git log --grep=$var{x} -- run bisect",
        "make -C $var{x} all",
        "make -f $var{x}",
        "sqlite3 $var{x} .tables",
        "deno run $var{x}",
    ] {
        assert!(script(text).is_ok(), "{text}: {:?}", script(text));
    }
}

#[test]
fn the_hint_for_code_in_single_quotes_is_never_to_change_the_quotes() {
    let cases = [
        ("python3 -c 'print(\"$var{v}\")'", "sys.argv[1]"),
        ("sh -c 'echo $var{v}'", "sh -c '… \"$1\" …' sh \"$var{v}\""),
        ("awk '{ print \"$var{v}\", $1 }' f", "awk -v value=\"$var{v}\""),
        ("psql -c 'select $var{v}'", "env_vars"),
    ];
    for (text, hint) in cases {
        let refused = script(text).expect_err(text);
        assert!(
            refused.contains("inside single quotes") && refused.contains(hint),
            "{text}: {refused}"
        );
    }
}

#[test]
fn a_script_may_be_nested_deeply_and_be_long() {
    let nested = format!("{}echo $var{{x}}{}", "( ".repeat(500), ")".repeat(500));
    assert!(script(&nested).is_ok());
    let refused = format!("{}echo '$var{{x}}'{}", "{ ".repeat(500), "; }".repeat(500));
    assert!(script(&refused).is_err());
    let long = format!("{}echo $var{{x}}", "echo 'a' \"b\"\n".repeat(2_000));
    assert!(script(&long).is_ok());
}

#[test]
fn plain_and_generated_commands_are_distinguished() {
    assert_eq!(read("ls -l"), Some(Ok(CommandText::Plain)));
    // What has no values is the author's business.
    assert_eq!(read("if then; eval $x"), Some(Ok(CommandText::Plain)));
    assert_eq!(read("$expr{command}"), Some(Ok(CommandText::Generated)));
}

#[test]
fn the_code_of_a_shell_is_found_behind_its_options() {
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["sh", "-c", "code"], Some("code")),
        (&["/bin/bash", "-lc", "code", "name"], Some("code")),
        (&["sh", "-c", "-e", "code"], Some("code")),
        (&["bash", "-c", "--", "code"], Some("code")),
        (&["bash", "-e", "-c", "code"], Some("code")),
        (&["bash", "-eo", "pipefail", "-c", "code"], Some("code")),
        (&["bash", "--rcfile", "-c", "script", "-c", "word"], None),
        (&["bash", "--norc", "-c", "code"], Some("code")),
        (&["bash", "+x", "-c", "code"], Some("code")),
        (&["bash", "script.sh", "-branch", "word"], None),
        (&["bash", "script.sh", "-c", "word"], None),
        (&["sh", "-", "-c", "word"], None),
        (&["sh", "-c"], None),
        (&["env", "A=b", "sh", "-c", "code"], Some("code")),
        (&["timeout", "5", "nice", "bash", "-c", "code"], Some("code")),
        (&["busybox", "sh", "-c", "code"], Some("code")),
        (&["grep", "-c", "sh", "file"], None),
    ];
    for (words, wanted) in cases {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(code_among(&words), *wanted, "{words:?}");
    }
}
