/* cli - the subcommands, one file each. Each takes its own arguments (argv[0] is its name) and returns the
 * exit code: 0, 1 for failure, 2 for wrong usage.
 */
#ifndef MARTLET_CLI_CLI_H
#define MARTLET_CLI_CLI_H

struct config;

int cli_serve(int argc, char **argv);
int cli_migrate(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_check_config(int argc, char **argv);
int cli_chat(int argc, char **argv);
int cli_notify(int argc, char **argv);
int cli_version(int argc, char **argv);

/* The configuration of a subcommand whose only option is -c FILE (else MARTLET_CONFIG, else
 * /etc/martlet/martlet.conf). NULL after telling what is wrong, with the exit code. */
struct config *cli_load_config(int argc, char **argv, int *ret_exit_code);

/* The configuration file if no -c names one. */
const char *cli_default_config(void);

#endif
