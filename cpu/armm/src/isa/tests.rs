//! The generated decoder, encoder and generator against the tables themselves, and text against objdump's.

use std::path::PathBuf;

use super::*;

fn feature_sets() -> Vec<Features> {
    let v7m = Features::V6M | Features::V7M;
    let all = v7m | Features::DSP | Features::FP;
    vec![Features::V6M, v7m, all, v7m | Features::IT, all | Features::IT]
}

fn tables() -> cpu_decode::Table {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("isa");
    let files: Vec<(PathBuf, String)> = ["thumb", "wide", "dsp", "vfp"]
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

/// The word as [`decode`] takes it.
fn placed(len: u8, word: u32) -> u32 {
    if len == 2 { word << 16 } else { word }
}

#[track_caller]
fn same_as_reference(table: &cpu_decode::Table, bits: u32, ext: &Features, names: &[&str]) {
    let wide = is_wide(bits >> 16);
    let (width, word) = if wide { (32, bits) } else { (16, bits >> 16) };
    let expected = table.reference_decode(width, word, names);
    let got = decode(bits, ext);
    assert_eq!(got.map(|d| d.id.name()), expected.as_ref().map(|f| f.name), "{bits:#x} {names:?}");
    let (Some(got), Some(expected)) = (got, expected) else { return };
    assert_eq!(u32::from(got.len) * 8, width);
    for (name, value) in &expected.operands {
        let operand: i64 = match *name {
            "rd" => got.ops.rd.into(),
            "rn" => got.ops.rn.into(),
            "rm" => got.ops.rm.into(),
            "ra" => got.ops.ra.into(),
            "wid" => got.ops.wid.into(),
            "imm" => got.ops.imm.into(),
            _ => panic!("{name}"),
        };
        assert_eq!(operand, *value, "{name} of {bits:#x}");
    }
    // What a function has made of a field comes back from its inverse.
    let again = encode(got.id, &got.ops).unwrap_or_else(|| panic!("{} {:?}", got.id.name(), got.ops));
    assert_eq!(decode(placed(got.len, again), ext), Some(got), "{bits:#x} {again:#x}");
    if expected.via.is_empty() {
        let ignored = random_ignored(got.id);
        assert_eq!(again & !ignored, word & !ignored, "{}", got.id.name());
    }
}

/// Bits that an instruction ignores.
fn random_ignored(id: Id) -> u32 {
    match id.name() {
        "udf" | "udf.w" => 0x000f_0fff,
        "hint.8" => 0x70,
        _ => 0,
    }
}

#[test]
fn every_16_bit_word_decodes_as_the_tables_say_and_encodes_back() {
    let table = tables();
    for ext in feature_sets() {
        let names: Vec<&str> = ext.names().collect();
        for first in (0..0x1_0000).filter(|first| !is_wide(*first)) {
            same_as_reference(&table, first << 16, &ext, &names);
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
                same_as_reference(&table, bits ^ flip, &ext, &names);
            }
        }
    }
}

#[test]
fn constants_expand_as_the_manual_says_and_come_back() {
    for (raw, value) in [
        (0x0ab, 0xab),
        (0x1ab, 0x00ab_00ab),
        (0x2ab, 0xab00_ab00),
        (0x3ab, 0xabab_abab),
        (0x42b, 0xab00_0000),
        (0x4ab, 0x5580_0000),
        (0xfab, 0x0000_0156),
    ] {
        assert_eq!(fmt::expand(raw) as u32, value, "{raw:#x}");
    }
    for raw in 0..0x1000 {
        let value = fmt::expand(raw);
        assert_eq!(fmt::expand_raw(value).map(fmt::expand), Some(value), "{raw:#x}");
    }
    for raw in (0..0x200_0000).step_by(0x1236) {
        assert_eq!(fmt::branch24_raw(fmt::branch24(raw)), Some(raw), "{raw:#x}");
    }
    assert_eq!(fmt::branch24(0x0c0_0000), 4);
}

#[test]
fn text_is_as_objdump_prints_it() {
    let features = Features::V6M | Features::V7M | Features::DSP | Features::FP;
    for (bits, text) in [
        (0x2001_0000, "movs\tr0, #1"),
        (0xb510_0000, "push\t{r4, lr}"),
        (0xbd10_0000, "pop\t{r4, pc}"),
        (0xcb03_0000, "ldmia\tr3!, {r0, r1}"),
        (0xcb09_0000, "ldmia\tr3, {r0, r3}"),
        (0xbf0c_0000, "ite\teq"),
        (0xf602_71ff, "addw\tr1, r2, #4095"),
        (0xf04f_20ff, "mov.w\tr0, #4278255360"),
        (0xea11_00c2, "ands.w\tr0, r1, r2, lsl #3"),
        (0xea5f_0021, "movs.w\tr0, r1, asr #32"),
        (0xf321_00cb, "ssat\tr0, #12, r1, asr #3"),
        (0xf361_00c7, "bfi\tr0, r1, #3, #5"),
        (0xfa0f_f891, "sxth.w\tr8, r1, ror #8"),
        (0xf851_0c04, "ldr.w\tr0, [r1, #-4]"),
        (0xe962_0102, "strd\tr0, r1, [r2, #-8]!"),
        (0xe8df_f010, "tbh\t[pc, r0, lsl #1]"),
        (0xe92d_4ff0, "stmdb\tsp!, {r4, r5, r6, r7, r8, r9, sl, fp, lr}"),
        (0xe8bd_8ff0, "ldmia.w\tsp!, {r4, r5, r6, r7, r8, r9, sl, fp, pc}"),
        (0xeac1_1002, "pkhbt\tr0, r1, r2, lsl #4"),
        (0xf3ef_8011, "mrs\tr0, BASEPRI"),
        (0xf000_8001, "beq.w\t0x1006"),
        (0xf3bf_8f5f, "dmb\tsy"),
        (0xf380_8800, "msr\tCPSR_f, r0"),
        (0xdf03_0000, "svc\t3"),
    ] {
        assert_eq!(disassemble(bits, 0x1000, &features), text);
    }
}
