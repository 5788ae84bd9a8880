//! The generated decoder, encoder and generator against the tables themselves.

use std::path::PathBuf;

use super::*;

/// Every combination of base width with: everything, and one at a time what shares encodings.
fn feature_sets() -> Vec<Features> {
    let both = Features::RV32 | Features::RV64;
    let mut sets = Vec::new();
    for width in [Features::RV32, Features::RV64] {
        let all = Features::ALL.without(both) | width;
        sets.push(all);
        for less in [
            Features::ZBB,
            Features::ZBKB,
            Features::ZIHINTPAUSE | Features::ZICBOP,
            Features::D | Features::ZFH,
            Features::F | Features::D,
            Features::ZCB | Features::ZCMOP,
            Features::ZBA | Features::M | Features::ZABHA,
            Features::C | Features::A,
        ] {
            sets.push(all.without(less));
        }
        sets.push(width | Features::I);
    }
    sets
}

fn tables() -> cpu_decode::Table {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("isa");
    let names = ["base", "m", "a", "f", "d", "zfh", "zfa", "b", "k", "system", "c"];
    let files: Vec<(PathBuf, String)> = names
        .iter()
        .map(|n| dir.join(format!("{n}.insn")))
        .map(|p| (p.clone(), std::fs::read_to_string(p).unwrap()))
        .collect();
    cpu_decode::load(files.iter().map(|(p, t)| (p.as_path(), t.as_str()))).unwrap()
}

fn rng() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }
}

fn operand(ops: &Operands, name: &str) -> i64 {
    match name {
        "rd" => ops.rd.into(),
        "rs1" => ops.rs1.into(),
        "rs2" => ops.rs2.into(),
        "rs3" => ops.rs3.into(),
        "rm" => ops.rm.into(),
        "imm" => ops.imm.into(),
        _ => panic!("{name}"),
    }
}

#[track_caller]
fn same_as_reference(table: &cpu_decode::Table, bits: u32, ext: &Features, names: &[&str]) {
    let width = if bits & 3 == 3 { 32 } else { 16 };
    let expected = table.reference_decode(width, bits, names);
    let got = decode(bits, ext);
    assert_eq!(got.map(|d| d.id.name()), expected.as_ref().map(|f| f.name), "{bits:#x} {names:?}");
    let (Some(got), Some(expected)) = (got, expected) else { return };
    assert_eq!(u32::from(got.len) * 8, width);
    let mut rest = got.ops;
    for (name, value) in &expected.operands {
        assert_eq!(operand(&got.ops, name), *value, "{name} of {bits:#x}");
        match *name {
            "rd" => rest.rd = 0,
            "rs1" => rest.rs1 = 0,
            "rs2" => rest.rs2 = 0,
            "rs3" => rest.rs3 = 0,
            "rm" => rest.rm = 0,
            _ => rest.imm = 0,
        }
    }
    assert_eq!(rest, Operands::ZERO, "{bits:#x} sets an operand that it has no field for");
}

#[test]
fn every_16_bit_word_decodes_as_the_tables_say_and_encodes_back() {
    let table = tables();
    for ext in feature_sets() {
        let names: Vec<&str> = ext.names().collect();
        for bits in (0..0x1_0000).filter(|b| b & 3 != 3) {
            same_as_reference(&table, bits, &ext, &names);
            if let Some(d) = decode(bits, &ext) {
                assert_eq!(encode(d.id, &d.ops), Some(bits), "{}", d.id.name());
                assert!(d.id.available(&ext));
            }
        }
    }
}

#[test]
fn words_of_every_instruction_and_their_neighbours_decode_as_the_tables_say() {
    let table = tables();
    let mut rng = rng();
    for ext in feature_sets() {
        let names: Vec<&str> = ext.names().collect();
        for id in Id::ALL.into_iter().filter(|id| id.len() == 4 && id.available(&ext)) {
            for _ in 0..40 {
                let bits =
                    random_of(id, &mut rng, &ext).unwrap_or_else(|| panic!("no word for {}", id.name()));
                same_as_reference(&table, bits, &ext, &names);
                // One or two flipped bits lead to neighbours and to reserved encodings.
                let flip = 1u32 << (rng() % 32) | 1 << (rng() % 32);
                same_as_reference(&table, (bits ^ flip) | 3, &ext, &names);
            }
        }
    }
}

#[test]
fn encoding_inverts_decoding() {
    let mut rng = rng();
    let mut seen = vec![false; Id::COUNT];
    for ext in feature_sets() {
        for id in Id::ALL.into_iter().filter(|id| id.available(&ext)) {
            for _ in 0..100 {
                let bits =
                    random_of(id, &mut rng, &ext).unwrap_or_else(|| panic!("no word for {}", id.name()));
                let d = decode(bits, &ext).unwrap();
                let back = encode(d.id, &d.ops).unwrap();
                assert_eq!(decode(back, &ext), Some(d));
                // Only fences have bits that are ignored.
                assert!(
                    back == bits || matches!(id, Id::Fence | Id::FenceI),
                    "{}: {bits:#x} {back:#x}",
                    id.name()
                );
                seen[id.index()] = true;
            }
        }
    }
    let missing: Vec<&str> = Id::ALL.iter().filter(|id| !seen[id.index()]).map(|id| id.name()).collect();
    assert!(missing.is_empty(), "never generated: {missing:?}");
}

#[test]
fn operands_that_do_not_fit_are_refused() {
    let ops = |rd, rs1, imm| Operands { rd, rs1, imm, ..Operands::ZERO };
    assert_eq!(encode(Id::Addi, &ops(1, 2, -2048)), Some(0x8001_0093));
    assert_eq!(encode(Id::Addi, &ops(1, 2, 2048)), None);
    assert_eq!(encode(Id::Addi, &ops(32, 2, 0)), None);
    assert_eq!(encode(Id::Jal, &ops(1, 0, 3)), None, "odd offset");
    assert_eq!(encode(Id::CAddi4spn, &ops(8, 0, 0)), None, "reserved");
    assert_eq!(encode(Id::CAddi4spn, &ops(7, 0, 4)), None, "not a compressed register");
    assert_eq!(encode(Id::Lui, &ops(1, 0, 0x1234_5000)), Some(0x1234_50b7));
    assert_eq!(encode(Id::Lui, &ops(1, 0, 1)), None);
}

#[test]
fn reserved_and_missing_encodings_do_not_decode() {
    let all = |width| Features::ALL.without(Features::RV32 | Features::RV64) | width;
    let (rv32, rv64) = (all(Features::RV32), all(Features::RV64));
    for (bits, what) in [
        (0x0000, "defined illegal"),
        (0x2011, "c.addiw x0 is reserved on RV64"),
        (0x6101, "c.addi16sp 0"),
        (0x4002, "c.lwsp x0"),
        (0x6002, "c.ldsp x0"),
        (0x8002, "c.jr x0"),
        (0xffff_ffff, "all ones"),
        (0x0220_d01b, "reserved shift"),
        (0x0000_5053, "rounding mode 5"),
    ] {
        assert_eq!(decode(bits, &rv64), None, "{what}");
    }
    assert_eq!(decode(0x0200_9093, &rv32), None, "slli by 32 on RV32");
    assert_eq!(decode(0x0200_9093, &rv64).unwrap().id, Id::Slli);
    assert_eq!(decode(0x0000_3083, &rv32), None, "ld on RV32");
    assert_eq!(decode(0x2001, &rv32).unwrap().id, Id::CJal);
    assert_eq!(decode(0x0001, &rv64.without(Features::C | Features::ZCB | Features::ZCMOP)), None);
    assert_eq!(decode(0x0220_81b3, &rv64).unwrap().id, Id::Mul);
    assert_eq!(decode(0x0220_81b3, &rv64.without(Features::M)), None);
}

#[test]
fn text_has_the_forms_that_binutils_prints() {
    let ext = Features::ALL.without(Features::RV32);
    let text = |bits| disassemble(bits, 0x8000_0000, &ext).replace('\t', " ");
    assert_eq!(text(0xfe01_0113), "addi sp,sp,-32");
    assert_eq!(text(0x00a1_2423), "sw a0,8(sp)");
    assert_eq!(text(0xfe0f_0ee3), "beq t5,zero,0x7ffffffc");
    assert_eq!(text(0x1234_5537), "lui a0,0x12345");
    assert_eq!(text(0x3000_2573), "csrrs a0,mstatus,zero");
    assert_eq!(text(0x3050_d073), "csrrwi zero,mtvec,1");
    assert_eq!(text(0x0ff0_000f), "fence iorw,iorw");
    assert_eq!(text(0x1605_252f), "lr.w.aqrl a0,(a0)");
    assert_eq!(text(0x00b5_7553), "fadd.s fa0,fa0,fa1,dyn");
    assert_eq!(text(0x1141), "c.addi sp,-16");
    assert_eq!(text(0x1101_0001), "c.nop");
    assert_eq!(text(0xffff_ffff), ".word 0xffffffff");
}

#[test]
fn features_have_names() {
    assert_eq!(Features::from_name("zba"), Some(Features::ZBA));
    assert_eq!(Features::from_name("ZBA"), None);
    assert_eq!((Features::RV64 | Features::I).names().collect::<Vec<_>>(), ["rv64", "i"]);
    assert!((Features::RV64 | Features::I).contains(Features::I));
    assert!(!Features::I.intersects(Features::RV32));
}

/// Run with `--ignored --nocapture` in release mode.
#[test]
#[ignore = "prints times, checks nothing that can vary"]
fn decoding_speed() {
    let all = Features::ALL.without(Features::RV32);
    let base = Features::RV64 | Features::I | Features::M | Features::A | Features::C;
    let mut rng = rng();
    for (what, n, from) in
        [("every instruction alike", 4096, all), ("IMAC", 4096, base), ("IMAC, a loop", 200, base)]
    {
        let words: Vec<u32> = (0..n).map(|_| random(&mut rng, &from).unwrap()).collect();
        let rounds = 4_000_000 / n;
        let start = std::time::Instant::now();
        let mut sum = 0usize;
        for _ in 0..rounds {
            for w in &words {
                sum += decode(*w, &all).map_or(0, |d| d.id.index() + d.ops.rd as usize);
            }
        }
        let ns = start.elapsed().as_secs_f64() * 1e9 / (rounds * n) as f64;
        println!("{what}: {ns:.2} ns a word ({sum})");
    }
}
