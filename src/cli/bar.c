/* See bar.h. */
#include "cli/bar.h"

#include "base/clock.h"
#include "cli/terminal.h"

an_bar an_bar_of(const char *what, an_bar_use use)
{
    return (an_bar){.what = what,
                    .live = use == AN_BAR_SHOWN && an_terminal_of(stderr).live,
                    .started = an_clock()};
}

bool an_bar_show(void *bar, double share)
{
    enum { WIDTH = 30 };
    an_bar *b = bar;
    double now = an_clock(), passed = now - b->started;
    if (!b->live || (b->drawn && now - b->last < 0.1)) return true;
    char cells[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        cells[i] = (double)i < share * WIDTH ? '#' : '.';
    cells[WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3.0f %%", b->what, cells, 100 * share);
    if (share > 0.01)
        fprintf(stderr, "  %.0f s left ", passed / share - passed);
    b->last = now;
    b->drawn = true;
    return true;
}

void an_bar_clear(an_bar *b)
{
    if (b->drawn) fprintf(stderr, "\r%60s\r", "");
    b->drawn = false;
}
