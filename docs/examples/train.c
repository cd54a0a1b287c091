/* Trains a small model: cc train.c $(pkg-config --cflags --libs anemone) */
#include <anemone/train.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    an_error err = {0};
    an_trainer *t = NULL;
    an_step_report r = {0};
    an_train_options o = an_train_defaults();
    o.data = (const char *const *)(argv + 1), o.n_data = argc - 1;
    o.out = "runs/example", o.steps = 20, o.batch = 1, o.sequence = 32;
    if (an_trainer_open(&o, &t, &err) == AN_OK)
        while (!r.finished && an_trainer_step(t, &r, &err) == AN_OK)
            printf("step %lld  loss %.4f\n", (long long)r.step, r.loss);
    if (err.code == AN_OK) an_trainer_save(t, &err);
    if (err.code != AN_OK) fprintf(stderr, "%s\n", err.text);
    an_trainer_close(t);
    return err.code != AN_OK;
}
