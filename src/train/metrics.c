/*
 * metrics.jsonl of a run folder. Lines are formatted in memory and appended
 * with one write, so that a kill leaves whole lines but for a torn last one,
 * which opening removes. A full disk that tears a line has it cut off at once.
 */
#include "train/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

static const char METRICS[] = "metrics.jsonl";

static an_status fail_io(an_error *err, const an_run *run, const char *what)
{
    return an_fail(err, AN_EIO, "%s/%s: cannot %s: %s", run->folder, METRICS,
                   what, strerror(errno));
}

/* Whether a line is an object with a "step" of at most `step`. */
static bool belongs(const char *line, size_t size, int64_t step)
{
    json_t *object = NULL;
    int64_t of = INT64_MAX;
    if (an_json_parse(line, size, METRICS, &object, NULL) != AN_OK)
        return false;
    an_status s = an_json_int(object, "step", 0, INT64_MAX - 1, &of, NULL);
    json_decref(object);
    return s == AN_OK && of <= step;
}

/* Hands the lines that stay to `w`, or counts their bytes when it is NULL. */
static an_status keep_lines(const an_map *map, int64_t step, an_writer *w,
                            size_t *kept, an_error *err)
{
    const char *at = (const char *)map->data, *end = at + map->size;
    *kept = 0;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline) break;
        size_t size = (size_t)(newline + 1 - at);
        if (belongs(at, size, step)) {
            an_status s = w ? an_writer_put(w, at, size, err) : AN_OK;
            if (s != AN_OK) return s;
            *kept += size;
        }
        at += size;
    }
    return AN_OK;
}

static an_status rewrite(const char *path, const an_map *map, int64_t step,
                         an_error *err)
{
    an_writer *w = NULL;
    size_t kept;
    an_status s = an_writer_open(path, &w, err);
    if (s != AN_OK) return s;
    s = keep_lines(map, step, w, &kept, err);
    if (s == AN_OK) return an_writer_commit(w, err);
    an_writer_abort(w);
    return s;
}

static an_status cut_back(const char *path, int64_t step, an_error *err)
{
    an_map map;
    size_t kept = 0;
    if (!an_path_exists(path)) return AN_OK;
    an_status s = an_map_open(path, &map, err);
    if (s != AN_OK) return s;
    s = keep_lines(&map, step, NULL, &kept, err);
    if (s == AN_OK && kept < map.size) s = rewrite(path, &map, step, err);
    an_map_close(&map);
    return s;
}

an_status an_run_metrics_open(an_run *run, int64_t step, an_error *err)
{
    an_run_path path = an_run_join(run->folder, METRICS);
    an_status s = cut_back(path.text, step, err);
    if (s != AN_OK) return s;
    int fd = open(path.text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return fail_io(err, run, "open");
    off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0) {
        s = fail_io(err, run, "seek");
        close(fd);
        return s;
    }
    if (run->metrics >= 0) close(run->metrics);
    run->metrics = fd;
    run->metrics_size = size;
    return AN_OK;
}

/* Returns the length, or LINE_BYTES or more when the line does not fit. */
static size_t format_line(char *line, const an_metric *m, int n)
{
    size_t at = 0;
    const char *before = "{";
    for (int i = 0; i < n && at < LINE_BYTES; i++) {
        if (!isfinite(m[i].value)) continue;
        int size = snprintf(line + at, LINE_BYTES - at, "%s\"%s\":%.17g",
                            before, m[i].key, m[i].value);
        if (size < 0) return LINE_BYTES;
        at += (size_t)size;
        before = ",";
    }
    if (at < LINE_BYTES)
        at += (size_t)snprintf(line + at, LINE_BYTES - at, "%s}\n",
                               *before == '{' ? "{" : "");
    return at;
}

an_status an_run_metrics_add(an_run *run, const an_metric *m, int n,
                             an_error *err)
{
    char line[LINE_BYTES];
    size_t size = format_line(line, m, n);
    if (run->metrics < 0)
        return an_fail(err, AN_EINVAL, "%s/%s: not open", run->folder, METRICS);
    if (size >= LINE_BYTES)
        return an_fail(err, AN_EINVAL, "%s/%s: line of more than %d bytes",
                       run->folder, METRICS, LINE_BYTES);
    ssize_t written;
    do
        written = write(run->metrics, line, size);
    while (written < 0 && errno == EINTR);
    if (written == (ssize_t)size) {
        run->metrics_size += (off_t)size;
        return AN_OK;
    }
    if (written >= 0) errno = ENOSPC; /* what a short write of a file means */
    an_status s = fail_io(err, run, "write");
    if (written > 0 && ftruncate(run->metrics, run->metrics_size) != 0)
        an_fail_context(err, "a torn line stays until the next start");
    return s;
}
