//! Random trees survive being written and read; random text never brings the compiler down.

use machine_configs::{
    Chosen, Params, compile_text, dtb, dts,
    source::{SearchPath, Span},
    tree::{NodeId, Tree},
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Node {
    props: Vec<(String, Vec<u8>)>,
    children: Vec<(String, Node)>,
}

fn name() -> impl Strategy<Value = String> {
    "[a-z#][a-z0-9,._+#-]{0,20}".prop_filter("a property with a meaning of its own", |name| {
        !["name", "phandle", "linux,phandle"].contains(&name.as_str())
    })
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::collection::vec(any::<u32>(), 1..6)
            .prop_map(|c| c.iter().flat_map(|c| c.to_be_bytes()).collect()),
        proptest::collection::vec("[ -~\n\t\u{e9}]{0,12}", 1..4)
            .prop_map(|s| (s.join("\0") + "\0").into_bytes()),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let props = || proptest::collection::vec((name(), value()), 0..6);
    let leaf = props().prop_map(|props| Node { props, children: Vec::new() });
    leaf.prop_recursive(4, 40, 5, move |inner| {
        (props(), proptest::collection::vec(("[a-z][a-z0-9-]{0,9}(@[0-9a-f]{1,8})?", inner), 0..5))
            .prop_map(|(props, children)| Node { props, children })
    })
}

fn build(tree: &mut Tree, id: NodeId, node: &Node) {
    for (name, data) in &node.props {
        tree.set_prop(id, name, data.clone(), Span::default());
    }
    for (name, child) in &node.children {
        if tree.child(id, name).is_none() {
            let child_id = tree.add_child(id, name, Span::default());
            build(tree, child_id, child);
        }
    }
}

fn compile(text: &str) -> Result<Tree, String> {
    dts::compile_text("random.dts", text, &SearchPath::default(), &dts::Options::default())
        .map(|c| c.tree)
        .map_err(|e| e.to_string())
}

/// Pieces of the language, from which mutations are made.
const PIECES: &[&str] = &[
    "/dts-v1/;",
    "/plugin/;",
    "/include/",
    "/bits/ 8",
    "/bits/ 65",
    "/incbin/(\"x\")",
    "/delete-node/ ",
    "/delete-property/ ",
    "/omit-if-no-ref/ ",
    "/memreserve/ ",
    "{",
    "}",
    ";",
    "<",
    ">",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "'",
    "&",
    "&{",
    "&{/a}",
    "&l",
    "l: ",
    "@",
    "=",
    ",",
    "?",
    ":",
    "<<",
    "%",
    "/",
    "-",
    "~",
    "!",
    "0x",
    "0xffffffffffffffff",
    "99999999999999999999999",
    "08",
    "'a'",
    "#define A B\n",
    "#define B A\n",
    "#define F(x, y) x##y #x\n",
    "F(",
    "A",
    "#if ",
    "#ifdef A\n",
    "#else\n",
    "#endif\n",
    "#undef A\n",
    "#include \"random.dts\"\n",
    "#include <x>\n",
    "#error\n",
    "/*",
    "*/",
    "//",
    "\\\n",
    "\\",
    "\n",
    "\0",
    "\u{e9}",
    "1",
    "/",
    "a",
    "phandle",
    "#address-cells = <4000000000>;",
    "ranges;",
    "reg = <0 0 0>;",
    "interrupts = <1>;",
    "hyperemu,boot = <1>;",
    "compatible = \"x\";",
];

const TV: &str = include_str!("../boards/tv.dts");
const FEATURES: &str = include_str!("data/every-feature.dts");
const MACROS: &str = include_str!("data/macros.dts");
const OVERLAY: &str = include_str!("data/overlay.dts");

#[derive(Clone, Debug)]
enum Edit {
    Insert(usize, usize),
    Remove(usize, usize),
    Repeat(usize, usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<usize>(), 0..PIECES.len()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<usize>(), 1usize..60).prop_map(|(at, len)| Edit::Remove(at, len)),
        (any::<usize>(), 1usize..40, 1usize..50).prop_map(|(at, len, times)| Edit::Repeat(at, len, times)),
    ]
}

fn mutate(text: &str, edits: &[Edit]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for edit in edits {
        let place = |at: usize, len: usize| {
            let start = at % (chars.len() + 1);
            start..(start + len).min(chars.len())
        };
        match *edit {
            Edit::Insert(at, piece) => {
                let at = place(at, 0).start;
                chars.splice(at..at, PIECES[piece].chars());
            }
            Edit::Remove(at, len) => {
                chars.drain(place(at, len));
            }
            Edit::Repeat(at, len, times) => {
                let range = place(at, len);
                let piece = chars[range.clone()].repeat(times);
                chars.splice(range, piece);
            }
        }
    }
    chars.into_iter().collect()
}

/// Whatever comes out, positions in errors must lie in their text.
fn check(text: &str) {
    if let Err(error) = compile_text("random.dts", text, &Params::default()) {
        assert!(!error.diagnostics.is_empty());
        for d in &error.diagnostics {
            assert!(d.source_text.get(d.span.clone()).is_some(), "{d}: {:?} is not in the text", d.span);
            assert!(d.line >= 1 && d.column >= 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn trees_survive(root in node()) {
        let mut tree = Tree::default();
        build(&mut tree, Tree::ROOT, &root);
        let bytes = dtb::write(&tree);
        let read = dtb::read(&bytes).expect("what we wrote");
        prop_assert_eq!(dtb::write(&read), bytes.clone());
        let text = dts::print(&read, dts::Style::Raw);
        let compiled = compile(&text).expect("what we printed");
        // The boot CPU is guessed from the source, and not part of a random tree.
        let mut compiled = compiled;
        compiled.boot_cpuid = 0;
        prop_assert_eq!(dtb::write(&compiled), bytes, "{}", text);
    }

    #[test]
    fn mutated_sources_never_panic(which in 0usize..4, edits in proptest::collection::vec(edit(), 1..12)) {
        check(&mutate([TV, FEATURES, MACROS, OVERLAY][which], &edits));
    }

    #[test]
    fn random_pieces_never_panic(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.into_iter().map(|i| PIECES[i]).collect();
        check(&text);
        check(&format!("/dts-v1/; / {{ {text}"));
    }

    #[test]
    fn random_overrides_never_panic(
        node in "(/|uart0|plic|cpu0|memory|/cpus|virtio_mmio3|clint|soc|.{0,6})",
        prop in "(reg|#address-cells|#size-cells|interrupts|interrupts-extended|interrupt-parent|ranges|status|riscv,isa|.{0,6})",
        value in "(true|false|[0-9]{1,22}[KMG]?|<[0-9 ]{0,12}>|<&plic [0-9]>|\"[a-z]{0,9}\"|&uart0|\\[[0-9a-f ]{0,9}\\]|.{0,12})",
        cpus in proptest::option::of(0u32..12),
        memory in proptest::option::of(any::<u64>()),
    ) {
        let overrides = vec![format!("{node}.{prop}={value}"), format!("{node}{prop}{value}")];
        for overrides in [overrides[..1].to_vec(), overrides] {
            let params = Params { overrides, cpus, memory, ..Params::default() };
            if let Ok(board) = compile_text("tv.dts", TV, &params) {
                prop_assert!(dtb::read(&board.dtb(&Chosen::default())).is_ok());
            }
        }
    }

    #[test]
    fn damaged_dtbs_never_panic(edits in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..20), cut in any::<usize>()) {
        let mut bytes = dtb::write(&compile_text("tv", TV, &Params::default()).expect("a board").tree);
        for (at, byte) in edits {
            // Mostly the header and the start of the structure, where damage tells.
            let at = at % if byte % 2 == 0 { 200 } else { bytes.len() };
            bytes[at] = byte;
        }
        if cut % 3 == 0 {
            bytes.truncate(cut % bytes.len());
        }
        if let Ok(tree) = dtb::read(&bytes) {
            let _ = dts::print(&tree, dts::Style::Raw);
            let _ = dtb::write(&tree);
        }
    }
}
