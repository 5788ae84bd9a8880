//! Tasks, events, shorts and registers of the RADIO, those of the nRF51, nRF52832 and nRF52840 together.

use devices_core::register_bank;

crate::nordic_layout! {
    tasks {
        TXEN = 0x000, RXEN = 0x004, START = 0x008, STOP = 0x00c, DISABLE = 0x010, RSSISTART = 0x014,
        RSSISTOP = 0x018, BCSTART = 0x01c, BCSTOP = 0x020, EDSTART = 0x024, EDSTOP = 0x028, CCASTART = 0x02c,
        CCASTOP = 0x030,
    }
    events {
        READY = 0x100, ADDRESS = 0x104, PAYLOAD = 0x108, END = 0x10c, DISABLED = 0x110, DEVMATCH = 0x114,
        DEVMISS = 0x118, RSSIEND = 0x11c, BCMATCH = 0x128, CRCOK = 0x130, CRCERROR = 0x134, FRAMESTART = 0x138,
        EDEND = 0x13c, EDSTOPPED = 0x140, CCAIDLE = 0x144, CCABUSY = 0x148, CCASTOPPED = 0x14c,
        RATEBOOST = 0x150, TXREADY = 0x154, RXREADY = 0x158, MHRMATCH = 0x15c, SYNC = 0x168, PHYEND = 0x16c,
    }
    shorts {
        0: READY => START, 1: END => DISABLE, 2: DISABLED => TXEN, 3: DISABLED => RXEN,
        4: ADDRESS => RSSISTART, 5: END => START, 6: ADDRESS => BCSTART, 8: DISABLED => RSSISTOP,
        11: RXREADY => CCASTART, 12: CCAIDLE => TXEN, 13: CCABUSY => DISABLE, 14: FRAMESTART => BCSTART,
        15: READY => EDSTART, 16: EDEND => DISABLE, 17: CCAIDLE => STOP, 18: TXREADY => START,
        19: RXREADY => START, 20: PHYEND => DISABLE, 21: PHYEND => START,
    }
}

register_bank! {
    /// The registers of the RADIO's own.
    pub enum Radio {
        Crcstatus = 0x400, ro, reset 0;
        Rxmatch = 0x408, ro, reset 0;
        Rxcrc = 0x40c, ro, reset 0;
        Dai = 0x410, ro, reset 0;
        Pdustat = 0x414, ro, reset 0, { PDUSTAT: 0, CISTAT: 1 .. 3 };
        Packetptr = 0x504, rw(u32::MAX), reset 0;
        Frequency = 0x508, rw(0x17f), reset 2, { FREQUENCY: 0 .. 7, MAP: 8 };
        Txpower = 0x50c, rw(0xff), reset 0;
        Mode = 0x510, rw(0xf), reset 0;
        Pcnf0 = 0x514, rw(0xe7df_010f), reset 0,
            { LFLEN: 0 .. 4, S0LEN: 8, S1LEN: 16 .. 20, S1INCL: 20, CILEN: 22 .. 24, PLEN: 24 .. 26, CRCINC: 26,
              TERMLEN: 29 .. 31 };
        Pcnf1 = 0x518, rw(0x0307_ffff), reset 0,
            { MAXLEN: 0 .. 8, STATLEN: 8 .. 16, BALEN: 16 .. 19, ENDIAN: 24, WHITEEN: 25 };
        Base0 = 0x51c, rw(u32::MAX), reset 0;
        Base1 = 0x520, rw(u32::MAX), reset 0;
        Prefix0 = 0x524, rw(u32::MAX), reset 0;
        Prefix1 = 0x528, rw(u32::MAX), reset 0;
        Txaddress = 0x52c, rw(0x7), reset 0;
        Rxaddresses = 0x530, rw(0xff), reset 0;
        Crccnf = 0x534, rw(0x303), reset 0, { LEN: 0 .. 2, SKIPADDR: 8 .. 10 };
        Crcpoly = 0x538, rw(0xff_ffff), reset 0;
        Crcinit = 0x53c, rw(0xff_ffff), reset 0;
        /// nRF51.
        Test = 0x540, rw(0x3), reset 0;
        Tifs = 0x544, rw(0x3ff), reset 0;
        Rssisample = 0x548, ro, reset 0x7f;
        State = 0x550, ro, reset 0;
        Datawhiteiv = 0x554, rw(0x7f), reset 0x40;
        Bcc = 0x560, rw(u32::MAX), reset 0;
        Dab0 = 0x600, rw(u32::MAX), reset 0;
        Dab1 = 0x604, rw(u32::MAX), reset 0;
        Dab2 = 0x608, rw(u32::MAX), reset 0;
        Dab3 = 0x60c, rw(u32::MAX), reset 0;
        Dab4 = 0x610, rw(u32::MAX), reset 0;
        Dab5 = 0x614, rw(u32::MAX), reset 0;
        Dab6 = 0x618, rw(u32::MAX), reset 0;
        Dab7 = 0x61c, rw(u32::MAX), reset 0;
        Dap0 = 0x620, rw(0xffff), reset 0;
        Dap1 = 0x624, rw(0xffff), reset 0;
        Dap2 = 0x628, rw(0xffff), reset 0;
        Dap3 = 0x62c, rw(0xffff), reset 0;
        Dap4 = 0x630, rw(0xffff), reset 0;
        Dap5 = 0x634, rw(0xffff), reset 0;
        Dap6 = 0x638, rw(0xffff), reset 0;
        Dap7 = 0x63c, rw(0xffff), reset 0;
        Dacnf = 0x640, rw(0xffff), reset 0, { ENA: 0 .. 8, TXADD: 8 .. 16 };
        Mhrmatchconf = 0x644, rw(u32::MAX), reset 0;
        Mhrmatchmas = 0x648, rw(u32::MAX), reset 0;
        Modecnf0 = 0x650, rw(0x301), reset 0x200, { RU: 0, DTX: 8 .. 10 };
        Sfd = 0x660, rw(0xff), reset 0xa7;
        Edcnt = 0x664, rw(0x1f_ffff), reset 0;
        Edsample = 0x668, rw(0xff), reset 0;
        Ccactrl = 0x66c, rw(0xffff_ff07), reset 0x052d_0000,
            { CCAMODE: 0 .. 3, CCAEDTHRES: 8 .. 16, CCACORRTHRES: 16 .. 24, CCACORRCNT: 24 .. 32 };
    }
}

/// Device address `index` (0 to 7) in DAB and DAP.
pub fn device_address(regs: &devices_core::regs::Bank<Radio>, index: usize) -> u64 {
    use Radio::*;
    const DAB: [Radio; 8] = [Dab0, Dab1, Dab2, Dab3, Dab4, Dab5, Dab6, Dab7];
    const DAP: [Radio; 8] = [Dap0, Dap1, Dap2, Dap3, Dap4, Dap5, Dap6, Dap7];
    u64::from(regs[DAB[index & 7]]) | u64::from(regs[DAP[index & 7]]) << 32
}
