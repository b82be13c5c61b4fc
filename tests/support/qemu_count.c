/* qemu_count.c: a TCG plugin that counts executed instructions and writes the number to a file (argument out=PATH).
 * Every instruction counts when it begins, also one that an IT block skips; a block that is left early therefore counts
 * what it executed. Declared here is what it needs of QEMU's plugin interface (docs/devel/tcg-plugins), whose header
 * distributions seldom ship. PLUGIN_VERSION: 1 up to QEMU 8, 2 from QEMU 9. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t id, struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction,
                                            void (*callback)(unsigned int core, void *data),
                                            enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t id, void *data), void *data);

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static uint64_t executed; /* the machines have one core */
static char path[1024];

static void count(unsigned int core, void *data)
{
    (void)core;
    (void)data;
    ++executed;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
        qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(block, i), count, QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
}

static void report(qemu_plugin_id_t id, void *data)
{
    FILE *const file = fopen(path, "w");
    (void)id;
    (void)data;
    if (file != NULL) {
        fprintf(file, "%" PRIu64 "\n", executed);
        fclose(file);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    static const char option[] = "out=";
    (void)info;
    if (argc != 1 || strncmp(argv[0], option, strlen(option)) != 0 || strlen(argv[0]) >= sizeof path) {
        return 1;
    }
    strcpy(path, argv[0] + strlen(option));
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, report, NULL);
    return 0;
}
