#ifndef MACROS_H
#define MACROS_H
#include "nested.h"
#define HEADER_VALUE (NESTED_VALUE << 4)
#endif
