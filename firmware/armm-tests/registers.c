// Registers: what they keep.
#include "base.h"

void registers(void)
{
    section("registers");
    show("cpuid", REG(0xe000ed00) & ~15u);
    show("ictr", REG(0xe000e004));
    show("aircr", AIRCR);
    show("mpu", REG(0xe000ed90));
    put("\n");
    keeps("vtor", 0xe000ed08);
    keeps("ccr", 0xe000ed14);
    keeps("mmfar", 0xe000ed34);
    keeps("bfar", 0xe000ed38);
    keeps("cpacr", 0xe000ed88);
    keeps("fpcar", 0xe000ef38);
    keeps("fpdscr", 0xe000ef3c);
    keeps("mpu_ctrl", 0xe000ed94);
    keeps("iser", 0xe000e100);
    ICER = 0xffffffff;
    show("icer", ICER);
    show("mvfr0", REG(0xe000ef40));
    show("mvfr1", REG(0xe000ef44));
    put("\n");

    section("parts of registers");
    REG(0xe000e400) = 0;
    *(volatile u8 *)0xe000e401 = 0xa0;
    *(volatile unsigned short *)0xe000e402 = 0x6040;
    show("ipr", REG(0xe000e400));
    *(volatile u8 *)0xe000ed1f = 0x80;
    show("shpr2", REG(0xe000ed1c));
    show("byte", *(volatile u8 *)0xe000ed1f);
    put("\n");
}
