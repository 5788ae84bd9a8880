//! Against Debian's `dtc`, the reference: the same bytes for sources with every feature, the same tree for real boards.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use machine_configs::{dtb, dts, source::SearchPath, tree::Tree};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Runs a program on `input`, and returns what it writes.
fn run(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(data(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run {program} (Debian: device-tree-compiler, cpp): {e}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let output = child.wait_with_output().expect("the program's output");
    let _ = writer.join();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn ours(name: &str, symbols: bool) -> Vec<u8> {
    let search = SearchPath { directories: vec![data("include")], builtin: &[] };
    match dts::compile_path(&data(name), &search, &dts::Options { symbols }) {
        Ok(compiled) => dtb::write(&compiled.tree),
        Err(error) => panic!("{error}"),
    }
}

fn assert_same(name: &str, ours: &[u8], theirs: &[u8]) {
    let text =
        |bytes| String::from_utf8_lossy(&run("dtc", &["-q", "-I", "dtb", "-O", "dts"], bytes)).into_owned();
    if ours != theirs {
        // A difference in the tree reads better than one in bytes.
        assert_eq!(text(ours), text(theirs), "{name}: the trees differ");
        panic!("{name}: the trees are the same, but not the bytes");
    }
}

#[test]
fn every_feature_is_byte_identical() {
    let source = std::fs::read(data("every-feature.dts")).expect("test data");
    let theirs = run("dtc", &["-q", "-f", "-I", "dts", "-O", "dtb"], &source);
    assert_same("every-feature.dts", &ours("every-feature.dts", false), &theirs);
    let theirs = run("dtc", &["-q", "-f", "-@", "-I", "dts", "-O", "dtb"], &source);
    assert_same("every-feature.dts with symbols", &ours("every-feature.dts", true), &theirs);
}

#[test]
fn overlays_and_symbols_are_byte_identical() {
    for name in ["overlay.dts", "symbols.dts"] {
        let source = std::fs::read(data(name)).expect("test data");
        for (symbols, flag) in [(false, "-q"), (true, "-@")] {
            let theirs = run("dtc", &["-q", flag, "-I", "dts", "-O", "dtb"], &source);
            assert_same(name, &ours(name, symbols), &theirs);
        }
    }
}

#[test]
fn preprocessed_sources_are_byte_identical() {
    let source = std::fs::read(data("macros.dts")).expect("test data");
    let cpp = ["-P", "-nostdinc", "-undef", "-D__DTS__", "-Iinclude", "-x", "assembler-with-cpp", "-"];
    let plain = run("cpp", &cpp, &source);
    let theirs = run("dtc", &["-q", "-I", "dts", "-O", "dtb"], &plain);
    assert_same("macros.dts", &ours("macros.dts", false), &theirs);
}

fn find(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            find(&path, out);
        } else if path.extension().is_some_and(|e| e == "dtb") {
            out.push(path);
        }
    }
}

/// Every node's path and properties, in order.
type Shape = Vec<(String, Vec<(String, Vec<u8>)>)>;

/// The tree without what a decompilation cannot keep.
fn shape(tree: &Tree) -> Shape {
    let props = |id| tree.node(id).props.iter().map(|p| (p.name.clone(), p.data.clone())).collect();
    tree.walk().into_iter().map(|id| (tree.path(id), props(id))).collect()
}

/// Every DTB of a Debian kernel: decompiled by dtc, compiled by us and by dtc; and decompiled by us and compiled again.
#[test]
fn kernel_trees_survive() {
    let Some(guests) = std::env::var_os("HYPEREMU_GUESTS") else {
        eprintln!(
            "SKIPPED: HYPEREMU_GUESTS is not set, so there are no kernels whose devicetrees could be compared"
        );
        return;
    };
    let mut files = Vec::new();
    for arch in ["linux-riscv64", "linux-arm64"] {
        let before = files.len();
        find(&Path::new(&guests).join(arch), &mut files);
        assert!(files.len() > before, "no *.dtb below {arch} in HYPEREMU_GUESTS");
    }
    files.sort();
    let search = SearchPath::default();
    for path in &files {
        let bytes = std::fs::read(path).expect("a readable file");
        let name = path.display().to_string();
        let original = dtb::read(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        // dtc prints "\0" before a digit so that it reads back as another byte: its own second reading is the reference.
        let decompiled = run("dtc", &["-q", "-I", "dtb", "-O", "dts"], &bytes);
        let theirs = run("dtc", &["-q", "-f", "-I", "dts", "-O", "dtb"], &decompiled);
        let decompiled = String::from_utf8(decompiled).expect("text");
        let compile = |by: &str, text: &str| {
            dts::compile_text(&name, text, &search, &dts::Options::default())
                .unwrap_or_else(|e| panic!("decompiled by {by}: {e}"))
                .tree
        };
        assert!(
            dtb::write(&compile("dtc", &decompiled)) == theirs,
            "{name}: dtc makes another DTB of its source"
        );

        let ours = compile("us", &dts::print(&original, dts::Style::Raw));
        let difference = shape(&ours).into_iter().zip(shape(&original)).find(|(a, b)| a != b);
        assert!(difference.is_none(), "{name}: decompiled by us, compiles to another tree: {difference:?}");
        assert_eq!(shape(&ours).len(), shape(&original).len(), "{name}");
        assert_eq!(ours.reserve.len(), original.reserve.len(), "{name}");
        let again = dtb::read(&dtb::write(&ours)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(shape(&again) == shape(&original), "{name}: our DTB reads back as another tree");
    }
    eprintln!("{} devicetrees compared", files.len());
}
