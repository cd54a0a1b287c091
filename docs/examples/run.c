/* Compiles a program and runs it: cc run.c $(pkg-config --cflags --libs anemone) */
#include <anemone/engine.h>

#include <stdio.h>
#include <string.h>

static const char text[] =
    "program(1.3)\n"
    "[buildInfo = dict<string, string>({{\"coremlc-version\", \"3600.25.1\"}})]\n"
    "{ func main<ios18>(tensor<fp16, [1, 1, 1, 32]> x) {\n"
    "  tensor<fp16, [1, 1, 1, 32]> y = add(x = x, y = x)[name = string(\"y\")];\n"
    "} -> (y); }\n";

int main(void)
{
    an_error err = {0};
    an_engine *e = NULL;
    an_program *p = NULL;
    an_request *r = NULL;
    an_surface *x = NULL, *y = NULL;
    uint16_t values[32];
    for (int i = 0; i < 32; i++)
        values[i] = 0x3c00; /* 1 in fp16 */
    if (an_engine_open(&(an_engine_options){.name = "soft"}, &e, &err) ||
        an_engine_compile(e, &(an_source){.text = text, .size = strlen(text)},
                          &p, &err) ||
        an_surface_new(e, an_program_port(p, AN_INPUT, 0)->size_bytes, &x, &err) ||
        an_surface_new(e, an_program_port(p, AN_OUTPUT, 0)->size_bytes, &y, &err) ||
        an_surface_put(x, an_program_port(p, AN_INPUT, 0), values, &err) ||
        an_request_new(p, &r, &err) ||
        an_request_bind(r, AN_INPUT, "x", x, &err) ||
        an_request_bind(r, AN_OUTPUT, "y", y, &err) ||
        an_request_run(r, &err) ||
        an_surface_take(y, an_program_port(p, AN_OUTPUT, 0), values, &err))
        fprintf(stderr, "%s\n", err.text);
    else
        printf("1 + 1 is 0x%04x in fp16\n", values[0]);
    an_request_free(r);
    an_surface_free(x);
    an_surface_free(y);
    an_program_free(p);
    an_engine_close(e);
    return err.code != AN_OK;
}
