//! The registers of the main page.

use devices_core::register_bank;

register_bank! {
    /// One byte each.
    pub enum Register {
        FuncCfgAccess = 0x01, rw(0xc0), reset 0, { shub: 6, func_cfg: 7 };
        PinCtrl = 0x02, rw(0xc0), reset 0x3f;
        FifoCtrl1 = 0x07, rw(0xff), reset 0;
        FifoCtrl2 = 0x08, rw(0xd7), reset 0, { wtm8: 0, stop_on_wtm: 7 };
        FifoCtrl3 = 0x09, rw(0xff), reset 0, { bdr_xl: 0 .. 4, bdr_gy: 4 .. 8 };
        FifoCtrl4 = 0x0a, rw(0xf7), reset 0, { mode: 0 .. 3, odr_t_batch: 4 .. 6, dec_ts_batch: 6 .. 8 };
        CounterBdrReg1 = 0x0b, rw(0xe7), reset 0;
        CounterBdrReg2 = 0x0c, rw(0xff), reset 0;
        Int1Ctrl = 0x0d, rw(0xff), reset 0;
        Int2Ctrl = 0x0e, rw(0x7f), reset 0;
        WhoAmI = 0x0f, ro, reset 0x6c;
        Ctrl1Xl = 0x10, rw(0xfe), reset 0, { lpf2_xl_en: 1, fs: 2 .. 4, odr: 4 .. 8 };
        Ctrl2G = 0x11, rw(0xfe), reset 0, { fs_125: 1, fs: 2 .. 4, odr: 4 .. 8 };
        Ctrl3C = 0x12, rw(0x7c), reset 0x04,
            { sw_reset: 0, if_inc: 2, sim: 3, pp_od: 4, h_lactive: 5, bdu: 6, boot: 7 };
        Ctrl4C = 0x13, rw(0x7e), reset 0, { lpf1_sel_g: 1, drdy_mask: 3, int2_on_int1: 5, sleep_g: 6 };
        Ctrl5C = 0x14, rw(0xef), reset 0;
        Ctrl6C = 0x15, rw(0xff), reset 0;
        Ctrl7G = 0x16, rw(0xf2), reset 0;
        Ctrl8Xl = 0x17, rw(0xff), reset 0;
        Ctrl9Xl = 0x18, rw(0xfe), reset 0xe0;
        Ctrl10C = 0x19, rw(0x20), reset 0, { timestamp_en: 5 };
        AllIntSrc = 0x1a, ro, reset 0;
        WakeUpSrc = 0x1b, ro, reset 0;
        TapSrc = 0x1c, ro, reset 0;
        D6dSrc = 0x1d, ro, reset 0;
        StatusReg = 0x1e, ro, reset 0, { xlda: 0, gda: 1, tda: 2 };
        OutTempL = 0x20, ro, reset 0;
        OutTempH = 0x21, ro, reset 0;
        OutxLG = 0x22, ro, reset 0;
        OutxHG = 0x23, ro, reset 0;
        OutyLG = 0x24, ro, reset 0;
        OutyHG = 0x25, ro, reset 0;
        OutzLG = 0x26, ro, reset 0;
        OutzHG = 0x27, ro, reset 0;
        OutxLA = 0x28, ro, reset 0;
        OutxHA = 0x29, ro, reset 0;
        OutyLA = 0x2a, ro, reset 0;
        OutyHA = 0x2b, ro, reset 0;
        OutzLA = 0x2c, ro, reset 0;
        OutzHA = 0x2d, ro, reset 0;
        EmbFuncStatus = 0x35, ro, reset 0;
        FsmStatusA = 0x36, ro, reset 0;
        FsmStatusB = 0x37, ro, reset 0;
        StatusMaster = 0x39, ro, reset 0;
        FifoStatus1 = 0x3a, ro, reset 0;
        FifoStatus2 = 0x3b, ro, reset 0,
            { diff: 0 .. 2, ovr_latched: 3, full: 5, ovr: 6, wtm: 7 };
        Timestamp0 = 0x40, ro, reset 0;
        Timestamp1 = 0x41, ro, reset 0;
        Timestamp2 = 0x42, ro, reset 0;
        Timestamp3 = 0x43, ro, reset 0;
        TapCfg0 = 0x56, rw(0x7f), reset 0;
        TapCfg1 = 0x57, rw(0xff), reset 0;
        TapCfg2 = 0x58, rw(0xff), reset 0;
        TapThs6d = 0x59, rw(0xff), reset 0;
        IntDur2 = 0x5a, rw(0xff), reset 0;
        WakeUpThs = 0x5b, rw(0xff), reset 0;
        WakeUpDur = 0x5c, rw(0xff), reset 0;
        FreeFall = 0x5d, rw(0xff), reset 0;
        Md1Cfg = 0x5e, rw(0xff), reset 0;
        Md2Cfg = 0x5f, rw(0xff), reset 0;
        I3cBusAvb = 0x62, rw(0x18), reset 0;
        InternalFreqFine = 0x63, ro, reset 0;
        XOfsUsr = 0x73, rw(0xff), reset 0;
        YOfsUsr = 0x74, rw(0xff), reset 0;
        ZOfsUsr = 0x75, rw(0xff), reset 0;
        FifoDataOutTag = 0x78, ro, reset 0;
        FifoDataOutXL = 0x79, ro, reset 0;
        FifoDataOutXH = 0x7a, ro, reset 0;
        FifoDataOutYL = 0x7b, ro, reset 0;
        FifoDataOutYH = 0x7c, ro, reset 0;
        FifoDataOutZL = 0x7d, ro, reset 0;
        FifoDataOutZH = 0x7e, ro, reset 0;
    }
}
