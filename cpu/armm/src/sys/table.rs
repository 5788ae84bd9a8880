//! The registers of the private peripheral bus, as a table.
//!
//! Follows the ARMv7-M Architecture Reference Manual (DDI 0403E), B3.2 to B3.5 and C1, the ARMv6-M one (DDI 0419), B3.2, and for what
//! those leave to the implementation the Cortex-M4 Technical Reference Manual (DDI 0439D), 4.1.

/// A register that keeps what is written to it, within a mask, or into which events set bits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Word {
    Actlr,
    Vtor,
    Scr,
    Ccr,
    Cfsr,
    Hfsr,
    Dfsr,
    Mmfar,
    Bfar,
    Cpacr,
    Demcr,
    Fpccr,
    Fpcar,
    Fpdscr,
    TpiuPrescaler,
    TpiuProtocol,
    TpiuFormatter,
    TpiuPortSize,
}

/// How many [`Word`]s there are.
pub const WORDS: usize = Word::TpiuPortSize as usize + 1;

/// A register whose accesses are functions.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Function {
    Ictr,
    SystCsr,
    SystRvr,
    SystCvr,
    SystCalib,
    SetEnable,
    ClearEnable,
    SetPending,
    ClearPending,
    ActiveBits,
    /// NVIC_IPR.
    InterruptPriority,
    Cpuid,
    Icsr,
    Aircr,
    /// SHPR, of which ARMv6-M has the second and third.
    SystemPriority,
    Shcsr,
    Demcr,
    MpuType,
    MpuCtrl,
    MpuRnr,
    MpuRbar,
    MpuRasr,
    Stir,
    Stimulus,
    ItmTer,
    ItmTpr,
    ItmTcr,
    ItmLar,
    ItmLsr,
    DwtCtrl,
    DwtCyccnt,
    /// DWT_COMP, DWT_MASK, DWT_FUNCTION and a gap, four times.
    DwtComparators,
    FpCtrl,
    FpComp,
}

/// What is behind an address.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Reads as this, writes are ignored.
    Constant(u32),
    /// Likewise; the second is that of a core without the DSP extension.
    Instructions(u32, u32),
    /// Keeps the bits of the mask; the last is its value at reset.
    Stored(Word, u32, u32),
    /// Writing ones clears.
    Clears(Word),
    /// Read and written by functions.
    Computed(Function),
}

/// The sizes of access that a register supports.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Words. Others read their part and are not written.
    Word,
    /// Also halfwords and bytes.
    Byte,
}

/// Which cores have a register.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Since {
    /// All.
    V6M,
    /// ARMv7-M.
    V7M,
    /// Those with an FPU.
    Fpu,
    /// Those with VTOR.
    Vtor,
    /// Those with SysTick.
    SysTick,
    /// Those with an MPU.
    Mpu,
}

/// A row of the table: `count` registers, a word apart.
#[derive(Copy, Clone, Debug)]
pub struct Row {
    /// Its name in the manual.
    pub name: &'static str,
    /// From 0xe0000000.
    pub offset: u32,
    /// How many.
    pub count: u32,
    /// What it is.
    pub what: What,
    /// Its sizes of access.
    pub unit: Unit,
    /// Which cores have it.
    pub since: Since,
}

use Function::*;
use Since::{Fpu, Mpu, SysTick, V6M, V7M, Vtor};
use Unit::{Byte, Word as Whole};
use What::{Clears, Computed, Constant, Instructions, Stored};

const fn row(name: &'static str, offset: u32, count: u32, since: Since, unit: Unit, what: What) -> Row {
    Row { name, offset, count, what, unit, since }
}

/// All registers, by address. What is not here reads as zero and ignores writes.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row("ITM_STIM",   0x00000, 32, V7M, Byte, Computed(Stimulus)),
    row("ITM_TER",    0x00e00, 1, V7M, Whole, Computed(ItmTer)),
    row("ITM_TPR",    0x00e40, 1, V7M, Whole, Computed(ItmTpr)),
    row("ITM_TCR",    0x00e80, 1, V7M, Whole, Computed(ItmTcr)),
    row("ITM_LAR",    0x00fb0, 1, V7M, Whole, Computed(ItmLar)),
    row("ITM_LSR",    0x00fb4, 1, V7M, Whole, Computed(ItmLsr)),
    row("ITM_PIDR4",  0x00fd0, 1, V7M, Whole, Constant(0x04)),
    row("ITM_PIDR0",  0x00fe0, 1, V7M, Whole, Constant(0x01)),
    row("ITM_PIDR1",  0x00fe4, 1, V7M, Whole, Constant(0xb0)),
    row("ITM_PIDR2",  0x00fe8, 1, V7M, Whole, Constant(0x3b)),
    row("ITM_CIDR0",  0x00ff0, 1, V7M, Whole, Constant(0x0d)),
    row("ITM_CIDR1",  0x00ff4, 1, V7M, Whole, Constant(0xe0)),
    row("ITM_CIDR2",  0x00ff8, 1, V7M, Whole, Constant(0x05)),
    row("ITM_CIDR3",  0x00ffc, 1, V7M, Whole, Constant(0xb1)),

    row("DWT_CTRL",   0x01000, 1, V7M, Whole, Computed(DwtCtrl)),
    row("DWT_CYCCNT", 0x01004, 1, V7M, Whole, Computed(DwtCyccnt)),
    row("DWT_COMP",   0x01020, 16, V7M, Whole, Computed(DwtComparators)),
    row("DWT_PIDR4",  0x01fd0, 1, V7M, Whole, Constant(0x04)),
    row("DWT_PIDR0",  0x01fe0, 1, V7M, Whole, Constant(0x02)),
    row("DWT_PIDR1",  0x01fe4, 1, V7M, Whole, Constant(0xb0)),
    row("DWT_PIDR2",  0x01fe8, 1, V7M, Whole, Constant(0x3b)),
    row("DWT_CIDR0",  0x01ff0, 1, V7M, Whole, Constant(0x0d)),
    row("DWT_CIDR1",  0x01ff4, 1, V7M, Whole, Constant(0xe0)),
    row("DWT_CIDR2",  0x01ff8, 1, V7M, Whole, Constant(0x05)),
    row("DWT_CIDR3",  0x01ffc, 1, V7M, Whole, Constant(0xb1)),

    row("FP_CTRL",    0x02000, 1, V7M, Whole, Computed(FpCtrl)),
    // Remapping is not supported.
    row("FP_REMAP",   0x02004, 1, V7M, Whole, Constant(0)),
    row("FP_COMP",    0x02008, 6, V7M, Whole, Computed(FpComp)),
    row("FP_PIDR4",   0x02fd0, 1, V7M, Whole, Constant(0x04)),
    row("FP_PIDR0",   0x02fe0, 1, V7M, Whole, Constant(0x03)),
    row("FP_PIDR1",   0x02fe4, 1, V7M, Whole, Constant(0xb0)),
    row("FP_PIDR2",   0x02fe8, 1, V7M, Whole, Constant(0x2b)),
    row("FP_CIDR0",   0x02ff0, 1, V7M, Whole, Constant(0x0d)),
    row("FP_CIDR1",   0x02ff4, 1, V7M, Whole, Constant(0xe0)),
    row("FP_CIDR2",   0x02ff8, 1, V7M, Whole, Constant(0x05)),
    row("FP_CIDR3",   0x02ffc, 1, V7M, Whole, Constant(0xb1)),

    row("ICTR",       0x0e004, 1, V7M, Whole, Computed(Ictr)),
    row("ACTLR",      0x0e008, 1, V7M, Whole, Stored(Word::Actlr, 0x0000_0307, 0)),
    row("SYST_CSR",   0x0e010, 1, SysTick, Whole, Computed(SystCsr)),
    row("SYST_RVR",   0x0e014, 1, SysTick, Whole, Computed(SystRvr)),
    row("SYST_CVR",   0x0e018, 1, SysTick, Whole, Computed(SystCvr)),
    row("SYST_CALIB", 0x0e01c, 1, SysTick, Whole, Computed(SystCalib)),
    row("NVIC_ISER",  0x0e100, 8, V6M, Whole, Computed(SetEnable)),
    row("NVIC_ICER",  0x0e180, 8, V6M, Whole, Computed(ClearEnable)),
    row("NVIC_ISPR",  0x0e200, 8, V6M, Whole, Computed(SetPending)),
    row("NVIC_ICPR",  0x0e280, 8, V6M, Whole, Computed(ClearPending)),
    row("NVIC_IABR",  0x0e300, 8, V7M, Whole, Computed(ActiveBits)),
    row("NVIC_IPR",   0x0e400, 60, V6M, Byte, Computed(InterruptPriority)),
    row("CPUID",      0x0ed00, 1, V6M, Whole, Computed(Cpuid)),
    row("ICSR",       0x0ed04, 1, V6M, Whole, Computed(Icsr)),
    row("VTOR",       0x0ed08, 1, Vtor, Whole, Stored(Word::Vtor, 0xffff_ff80, 0)),
    row("AIRCR",      0x0ed0c, 1, V6M, Whole, Computed(Aircr)),
    row("SCR",        0x0ed10, 1, V6M, Whole, Stored(Word::Scr, 0x0000_0016, 0)),
    row("CCR",        0x0ed14, 1, V6M, Whole, Stored(Word::Ccr, 0x0000_031b, 0x0000_0200)),
    row("SHPR",       0x0ed18, 3, V6M, Byte, Computed(SystemPriority)),
    row("SHCSR",      0x0ed24, 1, V6M, Whole, Computed(Shcsr)),
    row("CFSR",       0x0ed28, 1, V7M, Byte, Clears(Word::Cfsr)),
    row("HFSR",       0x0ed2c, 1, V7M, Whole, Clears(Word::Hfsr)),
    row("DFSR",       0x0ed30, 1, V7M, Whole, Clears(Word::Dfsr)),
    row("MMFAR",      0x0ed34, 1, V7M, Whole, Stored(Word::Mmfar, 0xffff_ffff, 0)),
    row("BFAR",       0x0ed38, 1, V7M, Whole, Stored(Word::Bfar, 0xffff_ffff, 0)),
    // No implementation-defined fault exists.
    row("AFSR",       0x0ed3c, 1, V7M, Whole, Constant(0)),
    row("ID_PFR0",    0x0ed40, 1, V7M, Whole, Constant(0x0000_0030)),
    row("ID_PFR1",    0x0ed44, 1, V7M, Whole, Constant(0x0000_0200)),
    row("ID_DFR0",    0x0ed48, 1, V7M, Whole, Constant(0x0010_0000)),
    row("ID_MMFR0",   0x0ed50, 1, V7M, Whole, Constant(0x0000_0030)),
    row("ID_MMFR2",   0x0ed58, 1, V7M, Whole, Constant(0x0100_0000)),
    row("ID_ISAR0",   0x0ed60, 1, V7M, Whole, Constant(0x0114_1110)),
    row("ID_ISAR1",   0x0ed64, 1, V7M, Whole, Instructions(0x0211_2000, 0x0211_1000)),
    row("ID_ISAR2",   0x0ed68, 1, V7M, Whole, Instructions(0x2123_2231, 0x2111_2231)),
    row("ID_ISAR3",   0x0ed6c, 1, V7M, Whole, Instructions(0x0111_1131, 0x0111_1110)),
    row("ID_ISAR4",   0x0ed70, 1, V7M, Whole, Constant(0x0131_0132)),
    row("CPACR",      0x0ed88, 1, Fpu, Whole, Stored(Word::Cpacr, 0x00f0_0000, 0)),
    row("MPU_TYPE",   0x0ed90, 1, V6M, Whole, Computed(MpuType)),
    row("MPU_CTRL",   0x0ed94, 1, Mpu, Whole, Computed(MpuCtrl)),
    row("MPU_RNR",    0x0ed98, 1, Mpu, Whole, Computed(MpuRnr)),
    row("MPU_RBAR",   0x0ed9c, 1, Mpu, Whole, Computed(MpuRbar)),
    row("MPU_RASR",   0x0eda0, 1, Mpu, Whole, Computed(MpuRasr)),
    row("MPU_RBAR_A1", 0x0eda4, 1, Mpu, Whole, Computed(MpuRbar)),
    row("MPU_RASR_A1", 0x0eda8, 1, Mpu, Whole, Computed(MpuRasr)),
    row("MPU_RBAR_A2", 0x0edac, 1, Mpu, Whole, Computed(MpuRbar)),
    row("MPU_RASR_A2", 0x0edb0, 1, Mpu, Whole, Computed(MpuRasr)),
    row("MPU_RBAR_A3", 0x0edb4, 1, Mpu, Whole, Computed(MpuRbar)),
    row("MPU_RASR_A3", 0x0edb8, 1, Mpu, Whole, Computed(MpuRasr)),
    // No debugger halts the core by these: the host's stops it from outside.
    row("DHCSR",      0x0edf0, 1, V7M, Whole, Constant(0)),
    row("DEMCR",      0x0edfc, 1, V7M, Whole, Computed(Demcr)),
    row("STIR",       0x0ef00, 1, V7M, Whole, Computed(Stir)),
    row("FPCCR",      0x0ef34, 1, Fpu, Whole, Stored(Word::Fpccr, 0xc000_017b, 0xc000_0000)),
    row("FPCAR",      0x0ef38, 1, Fpu, Whole, Stored(Word::Fpcar, 0xffff_fff8, 0)),
    row("FPDSCR",     0x0ef3c, 1, Fpu, Whole, Stored(Word::Fpdscr, 0x07c0_0000, 0)),
    row("MVFR0",      0x0ef40, 1, Fpu, Whole, Constant(0x1011_0021)),
    row("MVFR1",      0x0ef44, 1, Fpu, Whole, Constant(0x1100_0011)),
    row("SCS_PIDR4",  0x0efd0, 1, V6M, Whole, Constant(0x04)),
    row("SCS_PIDR0",  0x0efe0, 1, V6M, Whole, Constant(0x0c)),
    row("SCS_PIDR1",  0x0efe4, 1, V6M, Whole, Constant(0xb0)),
    row("SCS_PIDR2",  0x0efe8, 1, V6M, Whole, Constant(0x0b)),
    row("SCS_CIDR0",  0x0eff0, 1, V6M, Whole, Constant(0x0d)),
    row("SCS_CIDR1",  0x0eff4, 1, V6M, Whole, Constant(0xe0)),
    row("SCS_CIDR2",  0x0eff8, 1, V6M, Whole, Constant(0x05)),
    row("SCS_CIDR3",  0x0effc, 1, V6M, Whole, Constant(0xb1)),

    row("TPIU_SSPSR", 0x40000, 1, V7M, Whole, Constant(1)),
    row("TPIU_CSPSR", 0x40004, 1, V7M, Whole, Stored(Word::TpiuPortSize, 0x0000_0001, 1)),
    row("TPIU_ACPR",  0x40010, 1, V7M, Whole, Stored(Word::TpiuPrescaler, 0x0000_1fff, 0)),
    row("TPIU_SPPR",  0x400f0, 1, V7M, Whole, Stored(Word::TpiuProtocol, 0x0000_0003, 1)),
    // Flow is never stopped.
    row("TPIU_FFSR",  0x40300, 1, V7M, Whole, Constant(8)),
    row("TPIU_FFCR",  0x40304, 1, V7M, Whole, Stored(Word::TpiuFormatter, 0x0000_0002, 0x102)),

    // The ROM table: where the units are, relative to it; bit 0 says present.
    row("ROMSCS",     0xff000, 1, V7M, Whole, Constant(0xfff0_f003)),
    row("ROMDWT",     0xff004, 1, V7M, Whole, Constant(0xfff0_2003)),
    row("ROMFPB",     0xff008, 1, V7M, Whole, Constant(0xfff0_3003)),
    row("ROMITM",     0xff00c, 1, V7M, Whole, Constant(0xfff0_1003)),
    row("ROMTPIU",    0xff010, 1, V7M, Whole, Constant(0xfff4_1003)),
    row("ROMETM",     0xff014, 1, V7M, Whole, Constant(0xfff4_2002)),
    row("SYSTEM_ACCESS", 0xfffcc, 1, V7M, Whole, Constant(1)),
    row("ROM_PIDR4",  0xfffd0, 1, V7M, Whole, Constant(0x04)),
    row("ROM_PIDR0",  0xfffe0, 1, V7M, Whole, Constant(0xc4)),
    row("ROM_PIDR1",  0xfffe4, 1, V7M, Whole, Constant(0xb4)),
    row("ROM_PIDR2",  0xfffe8, 1, V7M, Whole, Constant(0x0b)),
    row("ROM_CIDR0",  0xffff0, 1, V7M, Whole, Constant(0x0d)),
    row("ROM_CIDR1",  0xffff4, 1, V7M, Whole, Constant(0x10)),
    row("ROM_CIDR2",  0xffff8, 1, V7M, Whole, Constant(0x05)),
    row("ROM_CIDR3",  0xffffc, 1, V7M, Whole, Constant(0xb1)),
];

/// The row of the register at `offset` from 0xe0000000, a multiple of 4, and which of its registers that is.
pub fn find(offset: u32) -> Option<(&'static Row, u32)> {
    let behind = TABLE.partition_point(|row| row.offset <= offset);
    let row = TABLE.get(behind.checked_sub(1)?)?;
    let index = (offset - row.offset) / 4;
    (index < row.count).then_some((row, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_rows_do_not_overlap() {
        for pair in TABLE.windows(2) {
            let end = pair[0].offset + 4 * pair[0].count;
            assert!(end <= pair[1].offset, "{} and {}", pair[0].name, pair[1].name);
        }
        assert!(TABLE.iter().all(|row| row.offset % 4 == 0 && row.count > 0));
    }

    #[test]
    fn a_word_has_one_register() {
        let words = |row: &Row| match row.what {
            Stored(word, ..) | Clears(word) => Some(word as u8),
            _ => None,
        };
        let mut found: Vec<u8> = TABLE.iter().filter_map(words).chain([Word::Demcr as u8]).collect();
        found.sort_unstable();
        assert_eq!(found, (0..WORDS as u8).collect::<Vec<_>>());
    }

    #[test]
    fn find_gives_the_register_and_its_index() {
        let named = |offset| find(offset).map(|(row, index)| (row.name, index));
        assert_eq!(named(0), Some(("ITM_STIM", 0)));
        assert_eq!(named(0x7c), Some(("ITM_STIM", 31)));
        assert_eq!(named(0x80), None);
        assert_eq!(named(0xe4ec), Some(("NVIC_IPR", 59)));
        assert_eq!(named(0xed20), Some(("SHPR", 2)));
        assert_eq!(named(0xed4c), None);
        assert_eq!(named(0xf_fffc), Some(("ROM_CIDR3", 0)));
    }
}
