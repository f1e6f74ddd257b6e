//! The ways a secret is written where it must not be read.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::secret::SHORTEST_SECRET;

/// The ways a secret is written.
pub(crate) struct Spellings {
    /// As it is, escaped or quoted.
    pub(crate) plain: Vec<String>,
    /// In an alphabet of letters, digits and few more, without a blank: only in a long word may there be one.
    pub(crate) encoded: Vec<String>,
}

/// The ways a secret is written where it must not be read.
pub(crate) fn spellings(secret: &str) -> Spellings {
    let escaped = in_json(secret);
    let ascii = in_ascii(&escaped, false);
    let mut all = vec![
        secret.to_owned(),
        in_json(&escaped),
        in_json(&ascii),
        in_ascii(&escaped, true),
        escaped.replace('/', "\\/"),
    ];
    for special in ESCAPED_IN_JSON {
        all.push(escape_in_json(&escaped, special, false));
        all.push(escape_in_json(&escaped, special, true));
    }
    for (apostrophe, others) in [("&#39;", ""), ("&#x27;", ""), ("&#x27;", "+`="), ("&apos;", "")] {
        all.push(escape_in_html(secret, apostrophe, others));
    }
    all.push(escape_in_html(secret, "&#39;", "").replace("&quot;", "&#34;"));
    for unescaped in LEFT_AS_THEY_ARE {
        let encoded = percent_encode(secret, unescaped);
        all.push(lowercase_escapes(&encoded));
        // In forms a space is a plus.
        all.push(encoded.replace("%20", "+"));
        all.push(encoded.replace('%', "%25"));
        all.push(encoded);
    }
    all.extend(quoted(secret));
    for (before, between) in [("", " "), ("", ":"), ("%", "")] {
        all.extend(in_digits(secret, before, between));
    }
    let mut encoded = in_digits(secret, "", "").to_vec();
    encoded.extend((0..5).map(|offset| base32_core(secret.as_bytes(), offset)));
    for written in [secret, &escaped, &ascii] {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            encoded.extend(inside_base64(engine, written));
        }
    }
    let once: Vec<String> = inside_base64(&STANDARD_NO_PAD, secret).collect();
    encoded.extend(once.iter().flat_map(|once| inside_base64(&STANDARD_NO_PAD, once)));
    all.push(escaped);
    all.push(ascii);
    let lines = secret.lines().map(str::trim);
    all.extend(lines.filter(|line| is_encoded(line)).map(str::to_owned));
    all.retain(|spelling| spelling.len() >= SHORTEST_SECRET);
    encoded.retain(|spelling| spelling.len() >= SHORTEST_SECRET);
    Spellings { plain: all, encoded }
}

/// Whether a byte may stand in an encoded spelling.
pub(crate) const fn is_of_encoding(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// The JSON spelling of a text, without the quotation marks around it.
fn in_json(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The JSON spelling of encoders that keep to ASCII, such as those of Python.
fn in_ascii(escaped: &str, upper: bool) -> String {
    let mut text = String::new();
    for c in escaped.chars() {
        match c {
            c if c.is_ascii() => text.push(c),
            c => text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| {
                if upper {
                    format!("\\u{unit:04X}")
                } else {
                    format!("\\u{unit:04x}")
                }
            })),
        }
    }
    text
}

/// Hexadecimal digits, as `xxd -p`, `od` and debuggers print them.
fn in_digits(secret: &str, before: &str, between: &str) -> [String; 2] {
    let joined = |digits: fn(u8) -> String| {
        let bytes: Vec<String> = secret
            .bytes()
            .map(|byte| format!("{before}{}", digits(byte)))
            .collect();
        bytes.join(between)
    };
    [
        joined(|byte| format!("{byte:02x}")),
        joined(|byte| format!("{byte:02X}")),
    ]
}

/// The base32 characters that depend on the secret alone when `offset` other bytes stand before it.
fn base32_core(secret: &[u8], offset: usize) -> String {
    const ALPHABET: [u8; 32] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bit = |at: usize| secret[at / 8] >> (7 - at % 8) & 1;
    let first = (offset * 8).div_ceil(5);
    let end = (offset + secret.len()) * 8 / 5;
    let character = |index: usize| {
        let at = index * 5 - offset * 8;
        let value = (at..at + 5).fold(0, |value, at| value << 1 | bit(at));
        char::from(ALPHABET[usize::from(value)])
    };
    (first..end).map(character).collect()
}

/// As shells and Python quote what holds quotation marks and other special characters; without the marks at its ends.
fn quoted(secret: &str) -> Vec<String> {
    let special = |c: char| !c.is_alphanumeric() && !"/._-+=:,@%^".contains(c);
    let backslashed: String = secret
        .chars()
        .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
        .collect();
    let octal = |byte: u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        byte if byte.is_ascii() => char::from(byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    let hexadecimal = |byte: u8, quote: bool| match byte {
        b'\'' if quote => "\\'".to_owned(),
        b'\\' => "\\\\".to_owned(),
        byte if byte.is_ascii() => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    let python = secret.replace('\\', "\\\\");
    vec![
        // In single quotes: `bash -x`, and `shlex.quote` of Python.
        secret.replace('\'', "'\\''"),
        secret.replace('\'', "'\"'\"'"),
        // `printf %q`, and `$'…'`.
        backslashed,
        secret.bytes().map(octal).collect(),
        // `repr` of texts and of bytes.
        python.replace('\'', "\\'"),
        python,
        secret.bytes().map(|byte| hexadecimal(byte, true)).collect(),
        secret.bytes().map(|byte| hexadecimal(byte, false)).collect(),
    ]
}

/// The base64 characters that depend on a text alone, wherever it stands in what is encoded.
fn inside_base64(engine: &GeneralPurpose, text: &str) -> impl Iterator<Item = String> {
    (0..3).filter_map(move |offset| base64_core(engine, text.as_bytes(), offset))
}

/// Whether a line of a secret says nothing to a reader, as those of a private key do.
fn is_encoded(line: &str) -> bool {
    const SHORTEST_LINE: usize = 32;
    line.len() >= SHORTEST_LINE && line.bytes().all(is_of_encoding) && !line.starts_with("--")
}

/// The characters that encoders of addresses leave unchanged beside letters, digits and `-_.~`: nothing by RFC 3986, `/` in
/// paths, and
/// those of JavaScript for a component and for a whole address.
const LEFT_AS_THEY_ARE: [&[u8]; 4] = [b"", b"/", b"!'()*", b"!'()*;/?:@&=+$,#"];

/// The characters that encoders of JSON write as `\\u` and four digits without need: those of Go, of .NET, and of programs
/// that want
/// to be safe in HTML.
const ESCAPED_IN_JSON: [&str; 3] = ["<>&", "<>&'+`", "<>&'+`/="];

fn escape_in_json(escaped: &str, special: &str, upper: bool) -> String {
    let escape = |c: char| match (special.contains(c), upper) {
        (false, _) => c.to_string(),
        (true, false) => format!("\\u{:04x}", u32::from(c)),
        (true, true) => format!("\\u{:04X}", u32::from(c)),
    };
    let text: String = escaped.chars().map(escape).collect();
    if special.contains('\'') {
        text.replace("\\\"", "\\u0022")
    } else {
        text
    }
}

fn escape_in_html(text: &str, apostrophe: &str, others: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => apostrophe.to_owned(),
        c if others.contains(c) => format!("&#x{:X};", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

fn percent_encode(text: &str, unescaped: &[u8]) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ if unescaped.contains(&byte) => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The same with the digits of escapes in lower case.
fn lowercase_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        text.push('%');
        text.push_str(&digits.to_ascii_lowercase());
        text.push_str(rest);
    }
    text
}

/// The base64 characters that depend on the secret alone when `offset` other bytes stand before it.
fn base64_core(engine: &GeneralPurpose, secret: &[u8], offset: usize) -> Option<String> {
    let padded: Vec<u8> = std::iter::repeat_n(0, offset)
        .chain(secret.iter().copied())
        .collect();
    let whole = padded.len() / 3 * 3;
    let encoded = engine.encode(&padded[..whole]);
    let skip = if offset == 0 { 0 } else { 4 };
    encoded
        .get(skip..)
        .filter(|core| core.len() >= SHORTEST_SECRET)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;
    use crate::secret::{MASK, SecretRegistry};

    const SECRET: &str = "sk-s3cr3t/+\"value\"";

    #[test]
    fn every_spelling_is_masked() {
        let registry = SecretRegistry::new();
        assert!(registry.add(SECRET));
        let redactor = registry.redactor();
        let json = Value::String(format!("x {SECRET} y")).to_string();
        let addresses = LEFT_AS_THEY_ARE.map(|unescaped| percent_encode(SECRET, unescaped));
        let lower = addresses.clone().map(|text| lowercase_escapes(&text));
        assert!(lower[0].contains("%2f%2b"), "{lower:?}");
        let others = [
            r#"sk-s3cr3t\/+\"value\""#,
            r#"sk-s3cr3t/\u002B\u0022value\u0022"#,
            r#"sk-s3cr3t\u002f\u002b\u0022value\u0022"#,
            "sk-s3cr3t/+&quot;value&quot;",
            "sk-s3cr3t/&#x2B;&quot;value&quot;",
        ];
        for text in [SECRET.to_owned(), json]
            .into_iter()
            .chain(others.map(str::to_owned))
            .chain(addresses)
            .chain(lower)
        {
            let masked = redactor.redact(&text);
            assert!(masked.contains(MASK), "{masked}");
        }
        for before in ["", "a", "ab", "abc"] {
            let text = STANDARD.encode(format!("{before}{SECRET}after"));
            assert!(redactor.redact(&text).contains(MASK), "{before}: {text}");
            let text = URL_SAFE.encode(format!("{before}{SECRET}after"));
            assert!(redactor.redact(&text).contains(MASK), "{before}: {text}");
        }
        assert_eq!(redactor.redact("nothing here"), "nothing here");
    }

    /// The spellings by ordinary programs of a secret with every kind of character.
    #[test]
    fn what_ordinary_encoders_make_of_a_secret_is_masked() {
        const ODD: &str = "s3cr3t/Va+lue==x9Zq&\"é'K7";
        let registry = SecretRegistry::new();
        assert!(registry.add(ODD));
        let redactor = registry.redactor();
        let json = r#"s3cr3t/Va+lue==x9Zq&\"\u00e9'K7"#;
        for (how, text) in [
            (
                "xxd -p",
                "7333637233742f56612b6c75653d3d78395a712622c3a9274b37".to_owned(),
            ),
            (
                "od -t x1",
                "73 33 63 72 33 74 2f 56 61 2b 6c 75 65 3d 3d 78 39 5a 71 26 22 c3 a9 27 4b 37".to_owned(),
            ),
            (
                "digits between colons",
                "73:33:63:72:33:74:2F:56:61:2B:6C:75:65:3D:3D:78:39:5A:71:26:22:C3:A9:27:4B:37".to_owned(),
            ),
            (
                "an address of escapes alone",
                "%73%33%63%72%33%74%2f%56%61%2b%6c%75%65%3d%3d%78%39%5a%71%26%22%c3%a9%27%4b%37".to_owned(),
            ),
            (
                "base32",
                "OMZWG4RTOQXVMYJLNR2WKPJ5PA4VU4JGELB2SJ2LG4======".to_owned(),
            ),
            // Of `ab` before it.
            (
                "base32 behind two bytes",
                "MFRHGM3DOIZXIL2WMEVWY5LFHU6XQOK2OETCFQ5JE5FTO===".to_owned(),
            ),
            (
                "numbers of HTML",
                "s3cr3t/Va+lue==x9Zq&amp;&#34;é&#39;K7".to_owned(),
            ),
            (
                "hexadecimal",
                "7333637233742F56612B6C75653D3D78395A712622C3A9274B37".to_owned(),
            ),
            ("json.dumps", json.to_owned()),
            ("json.dumps twice", in_json(json)),
            ("JSON in JSON", r#"s3cr3t/Va+lue==x9Zq&\\\"é'K7"#.to_owned()),
            (
                "base64 of JSON",
                STANDARD.encode(format!("{{\"key\": \"{json}\"}}")),
            ),
            (
                "base64 twice",
                STANDARD.encode(STANDARD.encode(format!("user:{ODD}"))),
            ),
            ("base64 twice, alone", STANDARD.encode(STANDARD.encode(ODD))),
            ("an address twice", percent_encode(&percent_encode(ODD, b""), b"")),
            (
                "html.escape",
                "s3cr3t/Va+lue==x9Zq&amp;&quot;é&#x27;K7".to_owned(),
            ),
            ("shlex.quote", r#"'s3cr3t/Va+lue==x9Zq&"é'"'"'K7'"#.to_owned()),
            ("bash -x", r#"'s3cr3t/Va+lue==x9Zq&"é'\''K7'"#.to_owned()),
            ("printf %q", r#"s3cr3t/Va+lue==x9Zq\&\"é\'K7"#.to_owned()),
            (
                "ANSI-C quotes",
                r#"$'s3cr3t/Va+lue==x9Zq&"\303\251\'K7'"#.to_owned(),
            ),
            ("repr", r#"'s3cr3t/Va+lue==x9Zq&"é\'K7'"#.to_owned()),
            (
                "repr of bytes",
                r#"b's3cr3t/Va+lue==x9Zq&"\xc3\xa9\'K7'"#.to_owned(),
            ),
        ] {
            let masked = redactor.redact(&text);
            assert!(masked.contains(MASK), "{how}: {masked}");
            assert!(
                !masked.contains("s3cr3t") && !masked.contains("K7"),
                "{how}: {masked}"
            );
        }
    }
}
