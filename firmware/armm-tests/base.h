// What the parts of the torture share: registers, the log, handlers.
typedef unsigned u32;
typedef unsigned char u8;

#define REG(address) (*(volatile u32 *)(address))
#define ICSR REG(0xe000ed04)
#define VTOR REG(0xe000ed08)
#define AIRCR REG(0xe000ed0c)
#define SCR REG(0xe000ed10)
#define CCR REG(0xe000ed14)
#define SHPR(i) REG(0xe000ed18 + 4 * (i))
#define SHCSR REG(0xe000ed24)
#define CFSR REG(0xe000ed28)
#define HFSR REG(0xe000ed2c)
#define DFSR REG(0xe000ed30)
#define MMFAR REG(0xe000ed34)
#define BFAR REG(0xe000ed38)
#define CPACR REG(0xe000ed88)
#define MPU_CTRL REG(0xe000ed94)
#define MPU_RBAR REG(0xe000ed9c)
#define MPU_RASR REG(0xe000eda0)
#define DEMCR REG(0xe000edfc)
#define STIR REG(0xe000ef00)
#define FPCCR REG(0xe000ef34)
#define FPCAR REG(0xe000ef38)
#define FPDSCR REG(0xe000ef3c)
#define SYST_CSR REG(0xe000e010)
#define SYST_RVR REG(0xe000e014)
#define SYST_CVR REG(0xe000e018)
#define ISER REG(0xe000e100)
#define ICER REG(0xe000e180)
#define ISPR REG(0xe000e200)
#define ICPR REG(0xe000e280)
#define IABR REG(0xe000e300)

enum { NMI = 2, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT, SV_CALL = 11, DEBUG_MONITOR, PEND_SV = 14, SYS_TICK, IRQ0 };

struct frame {
    u32 r0, r1, r2, r3, r12, lr, pc, xpsr;
    u32 s[16], fpscr, reserved;
};

// Gives the EXC_RETURN value to use, or 0 for the one of the entry.
typedef u32 action(struct frame *frame, u32 exc_return);

extern action *actions[48];
// Log each entry and exit.
extern int quiet;

#define ASM(text, ...) __asm volatile(text : : __VA_ARGS__ : "memory")
#define BARRIER() __asm volatile("dsb\n isb" : : : "memory")
#define READ(name) ({ u32 value_; __asm volatile("mrs %0, " #name : "=r"(value_) : : "memory"); value_; })
#define WRITE(name, value) __asm volatile("msr " #name ", %0\n isb" : : "r"((u32)(value)) : "memory")

void put(const char *text);
void hex(u32 value);
// " name=value"
void show(const char *name, u32 value);
void line(const char *text);
void section(const char *name);
void status(void);
// Logs what a register reads as when ones and zeros are written.
void keeps(const char *name, u32 address);
void start_log(const char *name);
__attribute__((noreturn)) void end_log(void);
// All interrupts off, priorities zero, faults as they are at reset, default stacks.
void quiesce(void);
void priority(u32 number, u32 value);
void pend(u32 irq);
void interrupt(u32 irq, u32 priority, action *act);

u32 skip(struct frame *frame, u32 exc_return);
void region(u32 number, u32 base, u32 log2, u32 attributes);

extern char vectors[], main_stack[], process_stack[];
void call_on_process_stack(void (*function)(void), u32 sp, u32 control);

void nesting(void), masks(void), calls(void), faults(void), frames(void), returns(void), floats(void), rights(void), sleeps(void),
    registers(void);
