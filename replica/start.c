/*
 * Runs when the library is loaded, and is linked last: by then the classes of
 * all other objects are known to the runtime.
 */
void an_rest_register(void);
void an_objects_count(void);

__attribute__((constructor)) static void start(void)
{
    an_rest_register();
    an_objects_count();
}
