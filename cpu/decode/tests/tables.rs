//! What tables may say, and how mistakes in them are reported.

use std::path::Path;

use cpu_decode::{Config, Table, generate, load};

const HEAD: &str = "\
operand rd rs1 : u8 x
operand imm : i32
feature wide a b
exclusive a b
flag jump
length 32 if 11 else 16
field rd[4:0] -> rd
field rs1[4:0] -> rs1
field rs[4:0] -> rs1
field imm[11:0] signed -> imm
field off[20:1] signed -> imm
field short[5:0] signed not=0 -> imm
field reg[2:0] map=8,9,18,19,20,21,22,23 -> rd
";

fn table(lines: &str) -> Result<Table, Vec<String>> {
    let text = format!("{HEAD}{lines}\n");
    load([(Path::new("t.insn"), text.as_str())]).map_err(|e| e.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn rejects(lines: &str, expected: &[&str]) {
    let errors = match table(lines) {
        Ok(_) => panic!("accepted:\n{lines}"),
        Err(errors) => errors.join("\n"),
    };
    for text in expected {
        assert!(errors.contains(text), "`{text}` is missing from:\n{errors}");
    }
}

const ADDI: &str = "addi | wide | imm rs1 000 rd 0010011 | rd rs1 imm | {rd}, {rs1}, {imm}";

#[test]
fn overlaps_are_rejected_unless_features_constraints_or_order_resolve_them() {
    let twin = |features: &str, notes: &str| {
        format!("{ADDI}\ntwin | {features} | imm rs1 000 00000 0010011 | rs1 imm | {{rs1}} {notes}")
    };
    rejects(&twin("wide", ""), &["t.insn:15: `twin` overlaps `addi` of t.insn:14, for example in 0x13"]);
    rejects(&twin("a", ""), &["overlaps"]);
    assert!(table(&twin("not wide", "")).is_ok());
    assert!(table(&twin("wide", "| over addi")).is_ok());
    assert!(
        table(&twin("wide", "| if imm == 5 and imm > 7")).is_ok(),
        "it matches nothing, so it overlaps nothing"
    );
    rejects(&twin("wide", "| if imm == 5 and imm < 7"), &["for example in 0x500013"]);
    rejects(&twin("not wide", "| over addi"), &["related by `over`, but do not overlap"]);
    // Exclusive features can not hold together.
    let a = ADDI.replace("| wide |", "| wide and a |");
    assert!(table(&format!("{a}\n{}", a.replace("addi", "other").replace("and a", "and b"))).is_ok());
    rejects(&format!("{a}\n{}", a.replace("addi", "other").replace("and a", "or b")), &["overlaps"]);
    // A constraint that mentions a feature.
    let low = format!("{ADDI} | if imm < 5 or a");
    assert!(
        table(&format!("{low}\n{}", low.replace("addi", "other").replace("< 5 or a", "> 5 and imm > 4")))
            .is_err()
    );
    assert!(
        table(&format!("{low}\n{} ; if imm >= 5", ADDI.replace("addi | wide", "o | b") + " | jump")).is_ok()
    );
}

#[test]
fn mistakes_in_a_line_are_reported_with_file_and_line() {
    rejects("nonsense", &["t.insn:14: `nonsense` is neither"]);
    rejects("x | wide | 000 | |", &["t.insn:14: the encoding has 3 bits, not 16 or 32"]);
    rejects("x | wide | imm rs9 000 rd 0010011 | |", &["field `rs9` is not declared"]);
    rejects("x | nope | imm rs1 000 rd 0010011 | |", &["`nope` is not a declared feature"]);
    rejects("x | wide and | imm rs1 000 rd 0010011 | |", &["the features end too early"]);
    rejects("x | (wide | imm rs1 000 rd 0010011 | |", &["`(` without `)`"]);
    rejects(
        "x | wide | imm rs1 000 rd 0010011 | rd rs2 | ",
        &["argument `rs2` is neither an operand nor a number"],
    );
    rejects(
        "x | wide | 000000000000 rs1 000 rd 0010011 | rd imm |",
        &["operand `imm` is used, but no field"],
    );
    rejects("x | wide | imm rs1 000 rd 0010011 | | {rs7}", &["`rs7` in the assembly text"]);
    rejects("x | wide | imm rs1 000 rd 0010011 | | {rd", &["`{` without `}`"]);
    rejects("x | wide | 0000000 rs rs1 000 rd 0010011 | |", &["two fields set operand `rs1`"]);
    rejects("x | wide | off[20|10:1|11|19:13] 0 rd 1101111 | |", &["some bits of field `off` are missing"]);
    rejects("x | wide | off[20|10:1|11|19:13|13] rd 1101111 | |", &["a bit of field `off` appears twice"]);
    rejects("x | wide | off[20|10:1|11|19:11] rd 110111 | |", &["a bit of field `off` appears twice"]);
    rejects("x | wide | off[21|10:1|11|19:12] rd 1101111 | |", &["leaves the field, which is [20:1]"]);
    rejects("x | wide | imm rs1 000 rd 0010011 | | | hop", &["`hop` is not a declared flag"]);
    rejects("x | wide | imm rs1 000 rd 0010011 | | | if off == 1", &["the encoding has no field `off`"]);
    rejects("x | wide | imm rs1 000 rd 0010011 | | | over nobody", &["`over nobody`: no such instruction"]);
    rejects("x | wide | imm rs1 000 rd 0010011", &["has 5 or 6 columns", "this line has 3"]);
    rejects(&format!("{ADDI}\n{ADDI}"), &["`addi` is declared twice, first at t.insn:14"]);
    rejects("field rd[4:0] -> rd", &["field `rd` is declared twice"]);
    rejects("field q[9:0] -> rd", &["does not fit its operand"]);
    rejects("field q[1:0] map=1,2,3 -> rd", &["exactly one value per encoding of 2 bits"]);
    rejects("field q[1:2] -> rd", &["highest first"]);
    rejects("feature wide", &["feature `wide` is declared twice"]);
    rejects("operand rd : u8", &["operand `rd` is declared twice"]);
    rejects("operand r : u16", &["operand type `u16`"]);
}

#[test]
fn mistakes_between_lines_are_reported() {
    rejects(
        "x | wide | imm rs1 000 rd 0010010 | |",
        &["contradict `length`, which would read it as 16 bits"],
    );
    rejects("x | wide | 00000000 rd 011 | |", &["contradict `length`, which would read it as 32 bits"]);
    let other = "a.x | wide | imm rs1 001 rd 0010011 | rd rs1 |\nax. | wide | imm rs1 010 rd 0010011 | |";
    assert!(table(other).is_ok(), "AX and Ax are two names");
    rejects(&other.replace("ax.", "a_x"), &["both become the Rust name `AX`"]);
    let call = format!("{ADDI}\nx | wide | imm rs1 001 rd 0010011 | => addi rd rs1 |");
    rejects(&call, &["semantic function `addi` takes 3 arguments elsewhere, 2 here"]);
}

#[test]
fn fields_are_assembled_signed_mapped_and_constrained() {
    let t = table(
        "jal | wide | off[20|10:1|11|19:12] rd 1101111 | rd imm | {rd}, {imm} | jump
         mv | wide | 101 short[5] reg 00 short[4:0] 10 | rd imm |",
    )
    .unwrap();
    let found = t.reference_decode(32, 0xffdf_f0ef, &["wide"]).unwrap();
    assert_eq!((found.name, found.operands), ("jal", vec![("imm", -4), ("rd", 1)]));
    let found = t.reference_decode(16, 0xb47e, &["wide"]).unwrap();
    assert_eq!((found.name, found.operands), ("mv", vec![("imm", -1), ("rd", 18)]));
    assert_eq!(t.reference_decode(16, 0xa402, &["wide"]), None, "short must not be 0");
    assert_eq!(t.reference_decode(32, 0xffdf_f0ef, &["a"]), None);
}

/// The grammar must carry the other instruction sets that are to come.
#[test]
fn thumb_and_a64_encodings_can_be_written() {
    let arm = "\
operand rd rn rm cond : u8 r
operand imm : i32
feature base thumb2
field rd3[2:0] -> rd
field imm8[7:0] -> imm
field rd4[3:0] not=13,15 -> rd
field rn4[3:0] -> rn
field i12[11:0] -> imm
field bcond[20:1] signed -> imm
field cond[3:0] -> cond
field lsr[4:0] map=32,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31 -> imm
movs      | base   | 00100 rd3 imm8                            | rd imm    | {rd}, #{imm}
lsrs      | base   | 00001 lsr 000 rd3                         | rd imm    | {rd}, #{imm}
addw      | thumb2 | 11110 i12[11] 10000 0 rn4 0 i12[10:8] rd4 i12[7:0] | rd rn imm | {rd}, {rn}, #{imm} | if rn4 != 15
adr.w=adr | thumb2 | 11110 i12[11] 10000 0 1111 0 i12[10:8] rd4 i12[7:0] | rd imm | {rd}, #{imm}
b.cond=b  | thumb2 | 11110 bcond[20] cond bcond[17:12] 10 bcond[18] 0 bcond[19] bcond[11:1] | cond imm | +{cond:c} {imm} | if cond < 14
";
    let t = load([(Path::new("arm.insn"), arm)]).unwrap();
    let found = t.reference_decode(16, 0x2005, &["base"]).unwrap();
    assert_eq!((found.name, found.operands), ("movs", vec![("rd", 0), ("imm", 5)]));
    let found = t.reference_decode(16, 0x0800, &["base"]).unwrap();
    assert_eq!((found.name, found.operands), ("lsrs", vec![("imm", 32), ("rd", 0)]));
    // addw r0, r1, #0x8ff
    let found = t.reference_decode(32, 0xf601_00ff, &["thumb2"]).unwrap();
    assert_eq!((found.name, found.operands), ("addw", vec![("imm", 0x8ff), ("rn", 1), ("rd", 0)]));
    assert_eq!(t.reference_decode(32, 0xf601_0dff, &["thumb2"]), None);
    // bne.w to itself: offset -4 from PC.
    let found = t.reference_decode(32, 0xf47f_affe, &["thumb2"]).unwrap();
    assert_eq!((found.name, found.operands), ("b.cond", vec![("imm", -4), ("cond", 1)]));

    let a64 = "\
operand rd rn rm : u8 x
operand imm : i32
feature a64
field rd[4:0] -> rd
field rn[4:0] -> rn
field rm[4:0] -> rm
field b26[27:2] signed -> imm
field adr[20:0] signed -> imm
field shift[5:0] -> imm
b    | a64 | 000101 b26                                    | imm         | {imm:target} |
adr  | a64 | 0 adr[1:0] 10000 adr[20:2] rd                 | rd imm      | {rd}, {imm:target}
add  | a64 | 10001011000 rm shift rn rd                    | rd rn rm imm | {rd}, {rn}, {rm}, lsl #{imm}
mov  | a64 | 10101010000 rm 000000 11111 rd                | rd rm       | {rd}, {rm} | over orr
orr  | a64 | 10101010000 rm shift rn rd                    | rd rn rm imm | {rd}, {rn}, {rm}
";
    let t = load([(Path::new("a64.insn"), a64)]).unwrap();
    assert_eq!(t.reference_decode(32, 0xaa01_03e0, &["a64"]).unwrap().name, "mov");
    assert_eq!(t.reference_decode(32, 0xaa01_07e0, &["a64"]).unwrap().name, "orr");
    let found = t.reference_decode(32, 0x17ff_ffff, &["a64"]).unwrap();
    assert_eq!((found.name, found.operands), ("b", vec![("imm", -4)]));
    let config = Config {
        tables: Vec::new(),
        formatters: "crate::fmt".into(),
        functions: "crate::sem".into(),
        semantics: "crate::Semantics".into(),
        flow: "crate::Flow".into(),
    };
    let out = generate(&t, &config);
    assert!(out.isa.contains("pub fn decode(bits: u32") && out.dispatch.contains("crate::sem::orr(s, o.rd"));
}

#[test]
fn a_first_halfword_may_be_the_high_half_and_fields_may_be_computed() {
    let head = "\
operand rd rn : u8 r
operand imm : i32
operand wid : u8
feature v7m
length 32 if high 11101 1111- else 16
field rd[3:0] -> rd
field rn[3:0] -> rn
field i12[11:0] via=expand -> imm
field lsb[4:0] -> imm
field msb[4:0] -> wid
";
    let load = |lines: &str| {
        let text = format!("{head}{lines}\n");
        load([(Path::new("t.insn"), text.as_str())])
            .map_err(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    let lines = "\
mov | v7m | 11110 i12[11] 0001001111 0 i12[10:8] rd i12[7:0] | rd imm | {rd}, {imm}
bfi | v7m | 111100110110 rn 0 lsb[4:2] rd lsb[1:0] 0 msb | rd rn imm wid | {rd}, {rn}, {imm}, {imm,wid:width}
nop | v7m | 1011111100000000 | |";
    let t = load(lines).unwrap();
    let found = t.reference_decode(32, 0xf44f_73ff, &["v7m"]).unwrap();
    assert_eq!(
        (found.name, found.operands, found.via),
        ("mov", vec![("rd", 3)], vec![("imm", "expand", 0xfff)])
    );
    let config = Config {
        tables: Vec::new(),
        formatters: "crate::fmt".into(),
        functions: "crate::sem".into(),
        semantics: "crate::Semantics".into(),
        flow: "crate::Flow".into(),
    };
    let out = generate(&t, &config).isa;
    assert!(out.contains("first & 0xf800 == 0xe800 || first & 0xf000 == 0xf000"), "{out}");
    assert!(out.contains("decode16(bits >> 16 & 0xffff, ext)"));
    assert!(
        out.contains("imm: crate::fmt::expand(") && out.contains("crate::fmt::expand_raw(i32::from(o.imm))?")
    );
    assert!(out.contains("Part::Format(|o| o.imm as u32 as i64 | (o.wid as i64) << 32, crate::fmt::width)"));
    for (lines, expected) in [
        ("x | v7m | 11000 rd 0000000 | |\ny | v7m | 11111 rd 0000000 | |", "would read it as 32 bits"),
        ("x | v7m | 1110 rn 000000000000000000000000 | |", "would read it as 16 bits"),
        ("field j[3:0] signed via=f -> imm", "`via` stands alone"),
        ("field j[3:0] via=F -> imm", "not a lower-case identifier"),
        ("x | v7m | 111100000000 rn 0000000000000000 | | {rn,ra:width}", "`ra` in the assembly text"),
        (
            "x | v7m | 111100000000 rn 0000000000000000 | | {rn,imm:width}",
            "operand `imm` is used, but no field",
        ),
        ("length 32 if 11 else 16", "is given once"),
    ] {
        let error = load(lines).err().unwrap_or_else(|| panic!("accepted {lines}"));
        assert!(error.contains(expected), "{error}");
    }
}
