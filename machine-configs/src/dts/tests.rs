//! Mistakes in sources: one clear error each, at the right place; and no input that takes forever.

use std::time::{Duration, Instant};

use super::*;

fn compile(text: &str) -> Result<Compiled, Error> {
    compile_text("t.dts", text, &SearchPath::default(), &Options::default())
}

/// The value of property `p` of the root, written as `value`.
fn value(value: &str) -> Result<Vec<u8>, String> {
    let compiled = compile(&format!("/dts-v1/;\n/ {{ p = {value}; }};")).map_err(|e| e.to_string())?;
    Ok(compiled.tree.prop(Tree::ROOT, "p").unwrap().data.clone())
}

#[track_caller]
fn refused(text: &str, line: u32, column: u32, message: &str) {
    let error = compile(text).map(|_| ()).expect_err("a mistake");
    let d = &error.diagnostics[0];
    assert!(d.message.contains(message), "{d}");
    assert_eq!((d.line, d.column), (line, column), "{d}");
}

#[test]
fn mistakes_have_positions() {
    let table: &[(&str, u32, u32, &str)] = &[
        ("", 1, 1, "expected `/dts-v1/;`"),
        ("/ { };", 1, 1, "expected `/dts-v1/;`"),
        ("/dts-v1/;\n", 2, 1, "expected a root node, found the end"),
        // A missing `;` is reported where it is missing.
        ("/dts-v1/;\n/ {\n\ta = <1>\n\tb;\n};", 3, 8, "expected `;`, found `b`"),
        ("/dts-v1/;\n/ { a = ; };", 2, 9, "expected a value"),
        ("/dts-v1/;\n/ { a = <1 2; };", 2, 13, "expected a number, `&label`, `(` or `>`, found `;`"),
        ("/dts-v1/;\n/ { a = <1 NAME>; };", 2, 12, "found `NAME`"),
        ("/dts-v1/;\n/ { a = <1 + 2>; };", 2, 12, "found `+`"),
        ("/dts-v1/;\n/ { a = <(1 + )>; };", 2, 15, "expected a number or `(`, found `)`"),
        ("/dts-v1/;\n/ { a = <(1 / 0)>; };", 2, 13, "division by zero"),
        ("/dts-v1/;\n/ { a = <(1>; };", 2, 13, "expected an operator, a number or `)`"),
        ("/dts-v1/;\n/ { a = <0x100000000>; };", 2, 10, "does not fit in 32 bits"),
        ("/dts-v1/;\n/ { a = <99999999999999999999>; };", 2, 10, "does not fit in 64 bits"),
        ("/dts-v1/;\n/ { a = <08>; };", 2, 10, "`08` is not a number"),
        ("/dts-v1/;\n/ { a = /bits/ 7 <1>; };", 2, 16, "cells cannot have 7 bits"),
        ("/dts-v1/;\n/ { a = /bits/ 8 <256>; };", 2, 19, "does not fit in 8 bits"),
        ("/dts-v1/;\n/ { l: b { }; };\n/ { a = /bits/ 64 <&l>; };", 3, 20, "arrays of 32 bits"),
        ("/dts-v1/;\n/ { a = [0g]; };", 2, 10, "two hexadecimal digits"),
        ("/dts-v1/;\n/ { a = \"text; };\n", 2, 9, "string is never closed"),
        ("/dts-v1/;\n/ { a = \"\\777\"; };", 2, 9, "does not fit in a byte"),
        ("/dts-v1/;\n/ { a = <'ab'>; };", 2, 10, "one character"),
        ("/dts-v1/;\n/ { a = <&>; };", 2, 10, "expected a label"),
        ("/dts-v1/;\n/ { a = <&{/b>; };", 2, 10, "`}` after `&{`"),
        ("/dts-v1/;\n/ { a = <&nobody>; };", 2, 10, "no node labelled `nobody`"),
        ("/dts-v1/;\n/ { a = &{/no/where}; };", 2, 9, "no node at `/no/where`"),
        ("/dts-v1/;\n/ { a; a; };", 2, 8, "property `a` is written twice"),
        ("/dts-v1/;\n/ { a { }; a { }; };", 2, 12, "node `a` is written twice"),
        ("/dts-v1/;\n/ { a { }; b; };", 2, 12, "property `b` follows a child"),
        ("/dts-v1/;\n/ { l: a { }; l: b { }; };", 2, 18, "label `l` is used twice"),
        ("/dts-v1/;\n/ { a {\n};\n", 4, 1, "`}`, found the end"),
        ("/dts-v1/;\n/ { };\n&nobody { };", 3, 1, "no node with the label `nobody`"),
        ("/dts-v1/;\n/ { };\n/delete-node/ &nobody;", 3, 15, "no node with the label `nobody`"),
        ("/dts-v1/;\n/ { a@1@2 { }; };", 2, 5, "more than one `@`"),
        ("/dts-v1/;\n/ { a#b { }; };", 2, 5, "`#` cannot stand in the name"),
        ("/dts-v1/;\n/ { a { phandle = <1>; }; b { phandle = <1>; }; };", 2, 31, "phandle 0x1 is used twice"),
        ("/dts-v1/;\n/ { phandle = <0>; };", 2, 5, "must be one cell, not 0"),
        ("/dts-v1/;\n/ { a = /incbin/(\"nothing\"); };", 2, 18, "cannot read `nothing`"),
        ("/dts-v1/;\n/include/ \"nothing\"\n/ { };", 2, 11, "cannot include `nothing`"),
        ("/dts-v1/;\n#include <nothing>\n/ { };", 2, 10, "cannot include `nothing`"),
        ("/dts-v1/;\n#include nothing\n/ { };", 2, 10, "expected \"file\" or <file>"),
        ("/dts-v1/;\n#if 1\n/ { };", 2, 2, "never closed"),
        ("/dts-v1/;\n#endif\n/ { };", 2, 2, "`#endif` without `#if`"),
        ("/dts-v1/;\n#if 1\n#else\n#else\n#endif\n/ { };", 4, 2, "`#else` after `#else`"),
        ("/dts-v1/;\n#if 1 +\n#endif\n/ { };", 2, 7, "expected a number or `(`"),
        ("/dts-v1/;\n#error nothing works\n", 2, 2, "#error nothing works"),
        ("/dts-v1/;\n#define F(a, b) a\n/ { p = <F(1)>; };", 3, 10, "takes 2 arguments, not 1"),
        ("/dts-v1/;\n#define F(a) a\n/ { p = <F(1 >; };", 3, 10, "never closed"),
        ("/dts-v1/;\n#define A 1\n#define A 2\n/ { };", 3, 9, "defined again"),
        ("/dts-v1/;\n/* never closed", 2, 1, "never closed"),
        // In a macro: the place of the call.
        ("/dts-v1/;\n#define BAD <1 x>\n/ { a = BAD; };", 3, 9, "found `x`"),
        // Columns count characters.
        ("/dts-v1/;\n/ { a = \"\u{e9}\u{e9}\", x; };", 2, 15, "expected a value"),
    ];
    for (text, line, column, message) in table {
        refused(text, *line, *column, message);
    }
}

#[test]
fn values_are_those_of_the_language() {
    let cells = |cells: &[u32]| Ok(cells.iter().flat_map(|c| c.to_be_bytes()).collect::<Vec<u8>>());
    assert_eq!(value("<1 0x2 03 (-1)>"), cells(&[1, 2, 3, u32::MAX]));
    assert_eq!(value("<'\\\\' '\\''>"), cells(&[92, 39]));
    assert_eq!(value("\"a\\x41\\102\\n\""), Ok(b"aAB\n\0".to_vec()));
    assert_eq!(value("[0123 4567]"), Ok(vec![0x01, 0x23, 0x45, 0x67]));
    assert_eq!(value("/bits/ 16 <1 (-1)>, \"x\""), Ok(b"\0\x01\xff\xffx\0".to_vec()));
    assert_eq!(value("<>"), Ok(vec![]));
}

#[test]
fn sources_of_other_systems_are_read() {
    let text = "\u{feff}/dts-v1/;\r\n#define A \\\r\n 1\r\n#if A\r\n/ { a = <A>; };\r\n#endif\r\n";
    assert_eq!(compile(text).unwrap().tree.prop(Tree::ROOT, "a").unwrap().u32(), Some(1));
}

#[test]
fn includes_are_named_in_errors() {
    let dir = std::env::temp_dir().join(format!("machine-configs-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("sub")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("main.dts", "/dts-v1/;\n#include \"sub/a.dtsi\"\n/ { };\n");
    write("sub/a.dtsi", "\n#include \"b.dtsi\"\n");
    write("sub/b.dtsi", "/ {\n\tbad = <oops>;\n};\n");
    let error = compile_path(&dir.join("main.dts"), &SearchPath::default(), &Options::default()).unwrap_err();
    let d = &error.diagnostics[0];
    assert!(d.file.ends_with("b.dtsi"), "{d}");
    assert_eq!((d.line, d.column, &d.source_text[d.span.clone()]), (2, 9, "oops"));
    let from: Vec<_> = d.related.iter().map(|(p, _)| (p.file.rsplit('/').next().unwrap(), p.line)).collect();
    assert_eq!(from, [("a.dtsi", 2), ("main.dts", 2)]);

    write("self.dts", "/dts-v1/;\n#include \"self.dts\"\n/ { };\n");
    let error = compile_path(&dir.join("self.dts"), &SearchPath::default(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("includes itself"), "{error}");
    write("twice.dts", "/dts-v1/;\n#include \"twice.dts\"\n#include \"twice.dts\"\n/ { };\n");
    assert!(compile_path(&dir.join("twice.dts"), &SearchPath::default(), &Options::default()).is_err());
    std::fs::write(dir.join("latin1.dts"), b"/dts-v1/;\n/ { a = \"\xe9\"; };").unwrap();
    let error =
        compile_path(&dir.join("latin1.dts"), &SearchPath::default(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn no_input_takes_forever() {
    let n = 20_000;
    let lines = |line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>();
    let doubling: String = (0..60).map(|i| format!("#define A{} A{i} A{i}\n", i + 1)).collect();
    let inputs = [
        ("nested nodes", format!("/dts-v1/; / {{ {}", "a {".repeat(n))),
        ("nested parentheses", format!("/dts-v1/; / {{ a = <{}", "(".repeat(n))),
        ("nested conditionals", format!("/dts-v1/; / {{ a = <({}1)>; }};", "1 ? 1 : ".repeat(n))),
        ("unary operators", format!("/dts-v1/; / {{ a = <({}1)>; }};", "- ~!".repeat(n))),
        ("nested calls", format!("#define F(x) x\n/dts-v1/; / {{ a = <{}", "F(".repeat(n))),
        ("doubling macros", format!("{doubling}/dts-v1/; / {{ a = <A60>; }};")),
        (
            "a chain of macros",
            format!("{}/dts-v1/; / {{ a = <A0>; }};", lines(&|i| format!("#define A{i} A{}\n", i + 1))),
        ),
        ("many conditionals", "#if 1\n".repeat(n)),
        ("many extensions", format!("/dts-v1/; / {{ l: a {{ }}; }};\n{}", "&l { b { }; };\n".repeat(n))),
        ("many labels", format!("/dts-v1/; / {{ {} a {{ }}; }};", lines(&|i| format!("l{i}: ")))),
        ("many nodes", format!("/dts-v1/; / {{ {} }};", lines(&|i| format!("l{i}: n{i} {{ }};\n")))),
        (
            "many references",
            format!("/dts-v1/; / {{ {} }};", lines(&|i| format!("l{i}: n{i} {{ r = <&l{i} &l0>; }};\n"))),
        ),
        ("a long name", format!("/dts-v1/; / {{ {} {{ }}; }};", "n".repeat(1 << 20))),
        ("a long number", format!("/dts-v1/; / {{ a = <{}>; }};", "9".repeat(1 << 20))),
        ("many open strings", format!("/dts-v1/; / {{ a = {}", "\"\n".repeat(n))),
        ("many quotes", format!("/dts-v1/; / {{ a = {}", "'".repeat(1 << 18))),
        ("many bits", "/dts-v1/; / { a = /bits/ 18446744073709551615 <1>; };".into()),
    ];
    for (what, text) in inputs {
        let start = Instant::now();
        let _ = compile(&text);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{what}: {took:?}");
        eprintln!("{what}: {took:?}");
    }
}

#[test]
fn positions_survive_to_the_end() {
    let text = "/dts-v1/;\n#define P(n) n = <1>\n/ {\n\tx: node@1 {\n\t\tfirst = <1>;\n\t\tP(second);\n\t};\n};\n&x {\n\tfirst = <2>;\n};\n";
    let c = compile(text).unwrap();
    let id = c.tree.by_label("x").unwrap();
    let at = |name: &str| {
        let p = c.sources.position(c.tree.prop(id, name).unwrap().span);
        (p.line, p.column)
    };
    // Where it was last written; and an argument of a macro keeps its own place.
    assert_eq!(at("first"), (10, 2));
    assert_eq!(at("second"), (6, 5));
    assert_eq!(c.sources.position(c.tree.node(c.tree.by_path("/node@1").unwrap()).span).line, 9);
}
