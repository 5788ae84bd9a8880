/* Includes its includer: the guard ends it. */
#include "macros.h"
#pragma once
#define NESTED_VALUE 0x12
