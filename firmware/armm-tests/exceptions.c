// What QEMU 10.0's mps2-an386 does as the manual says.
#include "base.h"

int main(void)
{
    start_log("exceptions");
    nesting();
    masks();
    calls();
    faults();
    frames();
    returns();
    floats();
    rights();
    sleeps();
    registers();
    end_log();
}
