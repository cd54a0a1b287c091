/*
 * The table of chips. Every Mac since M1 presents one engine as 16 cores (two
 * of them on an Ultra). That rows of a port start at multiples of 64 bytes was
 * seen on M1 to M5 by several projects, among them tinygrad/tinygrad
 * (extra/accel/ane), eiln/ane, True2456/qwen-ane and
 * skyfallsin/apple-neural-engine-field-guide; nothing here was measured by us.
 */
#include "chip/chips.h"

#include <string.h>

// clang-format off
static const an_chip chips[] = {
    {"cpu",  0,  1, "no engine: rows are packed", 0, 0, AN_CHIP_RELOAD_HONOURED},
    {"m1",  16, 64, "hollance/neural-engine; tinygrad/tinygrad; eiln/ane", 119, 127, AN_CHIP_RELOAD_HONOURED},
    {"m2",  16, 64, "hollance/neural-engine; sbryngelson/ANEForge", 119, 127, AN_CHIP_RELOAD_HONOURED},
    {"m3",  16, 64, "hollance/neural-engine; sbryngelson/ANEForge", 119, 127, AN_CHIP_RELOAD_HONOURED},
    {"m4",  16, 64, "hollance/neural-engine; maderix/ANE; skyfallsin/apple-neural-engine-field-guide", 119, 127, AN_CHIP_RELOAD_HONOURED},
    {"m5",  16, 64, "True2456/qwen-ane", 119, 127, AN_CHIP_RELOAD_HONOURED},
    {"m6",  32, 64, "two engines of 16: 751K/Apple-Neural-Engine-Microarchitecture-Study-M6", 119, 127, AN_CHIP_RELOAD_HONOURED},
};
// clang-format on

const an_chip *an_chip_at(int i)
{
    size_t n = sizeof chips / sizeof *chips;
    return i >= 0 && (size_t)i < n ? &chips[i] : NULL;
}

const an_chip *an_chip_find(const char *name)
{
    for (int i = 0; an_chip_at(i); i++)
        if (strcmp(chips[i].name, name) == 0) return &chips[i];
    return NULL;
}
