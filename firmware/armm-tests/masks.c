// PRIMASK, BASEPRI, BASEPRI_MAX, FAULTMASK, NMI.
#include "base.h"

extern void unmask_by_basepri(void), unmask_by_cps(void);

static u32 show_pc(struct frame *f, u32 r)
{
    put("   ");
    show("pc", f->pc - ((u32)unmask_by_basepri & ~1u));
    put("\n");
    return 0;
}

static u32 set_faultmask(struct frame *f, u32 r)
{
    WRITE(faultmask, 1);
    pend(1);
    show("   faultmask", READ(faultmask));
    put("\n");
    return 0;
}

static u32 pend_nmi(struct frame *f, u32 r)
{
    ICSR = 1u << 31;
    BARRIER();
    line("   after the nmi");
    return 0;
}

static void try_basepri(u32 base, u32 more)
{
    WRITE(basepri, base);
    WRITE(basepri_max, more);
    show("basepri", READ(basepri));
}

void masks(void)
{
    section("basepri");
    for (u32 base = 0; base <= 0xc0; base += 0x20) {
        quiesce();
        show("basepri", base);
        put("\n");
        WRITE(basepri, base);
        interrupt(0, 0x60, 0);
        interrupt(1, 0x80, 0);
        ISPR = 3;
        BARRIER();
        WRITE(basepri, 0);
    }
    try_basepri(0, 0x40);
    try_basepri(0x40, 0x60);
    try_basepri(0x60, 0x40);
    try_basepri(0x40, 0);
    put("\n");
    WRITE(basepri, 0);

    section("the instruction behind an unmasking one does not run");
    actions[PEND_SV] = show_pc;
    priority(PEND_SV, 0xe0);
    WRITE(basepri, 0x20);
    ICSR = 1 << 28;
    BARRIER();
    unmask_by_basepri();
    WRITE(primask, 1);
    ICSR = 1 << 28;
    BARRIER();
    unmask_by_cps();

    section("primask holds back all but nmi and hardfault");
    WRITE(primask, 1);
    interrupt(0, 0, 0);
    pend(0);
    ICSR = 1u << 31;
    BARRIER();
    WRITE(primask, 0);

    section("faultmask");
    interrupt(1, 0, 0);
    WRITE(faultmask, 1);
    pend(1);
    show("pending", ISPR);
    put("\n");
    ICSR = 1u << 31;
    BARRIER();
    WRITE(faultmask, 0);
    interrupt(0, 0x80, set_faultmask);
    pend(0);
    show("faultmask", READ(faultmask));
    put("\n");

    section("nmi");
    interrupt(0, 0, pend_nmi);
    pend(0);
}
