/* Event types and key codes of Linux, those that boards here use. */
#ifndef _DT_BINDINGS_INPUT_INPUT_H
#define _DT_BINDINGS_INPUT_INPUT_H

#define EV_KEY 1
#define EV_SW 5

#define KEY_ENTER 28
#define KEY_HOME 102
#define KEY_VOLUMEDOWN 114
#define KEY_VOLUMEUP 115
#define KEY_POWER 116
#define KEY_A 30
#define KEY_B 48
#define BTN_0 0x100
#define BTN_1 0x101
#define BTN_2 0x102
#define BTN_3 0x103

#endif
