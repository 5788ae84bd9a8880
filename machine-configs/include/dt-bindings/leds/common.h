/* Colours and functions of LEDs, those that boards here use. */
#ifndef _DT_BINDINGS_LEDS_COMMON_H
#define _DT_BINDINGS_LEDS_COMMON_H

#define LED_COLOR_ID_WHITE 0
#define LED_COLOR_ID_RED 1
#define LED_COLOR_ID_GREEN 2
#define LED_COLOR_ID_BLUE 3

#define LED_FUNCTION_ACTIVITY "activity"
#define LED_FUNCTION_HEARTBEAT "heartbeat"
#define LED_FUNCTION_STATUS "status"

#endif
