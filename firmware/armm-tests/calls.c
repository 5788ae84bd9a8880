// SVC, PendSV.
#include "base.h"

extern void svc_0(void), svc_2(void), fault_svc(void);
extern u32 it_survives(void);

static u32 show_call(struct frame *f, u32 r)
{
    put("   ");
    show("svc", *(u8 *)(f->pc - 2));
    show("pc", f->pc);
    show("xpsr", f->xpsr & 0x0700fdff);
    put("\n");
    return 0;
}

static u32 pend_pendsv(struct frame *f, u32 r)
{
    show_call(f, r);
    ICSR = 1 << 28;
    BARRIER();
    line("   pendsv pends");
    return 0;
}

static u32 call_again(struct frame *f, u32 r)
{
    svc_2();
    line("   after the call");
    return 0;
}

static u32 next_instruction(struct frame *f, u32 r)
{
    show("   pc", f->pc);
    put("\n");
    return 0;
}

void calls(void)
{
    section("svc");
    actions[SV_CALL] = show_call;
    svc_0();
    show("it", it_survives());
    put("\n");

    section("svc pends pendsv");
    actions[SV_CALL] = pend_pendsv;
    priority(SV_CALL, 0x40);
    priority(PEND_SV, 0xe0);
    svc_0();

    section("svc from an exception");
    actions[SV_CALL] = show_call;
    priority(SV_CALL, 0x20);
    interrupt(0, 0x40, call_again);
    pend(0);

    section("svc that can not be taken");
    priority(SV_CALL, 0x60);
    actions[HARD_FAULT] = next_instruction;
    interrupt(0, 0x40, call_again);
    pend(0);
    WRITE(primask, 1);
    fault_svc();
    WRITE(primask, 0);
}
