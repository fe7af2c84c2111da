#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} subcommands[] = {
	{"serve", cli_serve, "run the broker: a supervisor and its workers"},
	{"migrate", cli_migrate, "bring the database to this release's schema"},
	{"token", cli_token, "print a token for a user, for development and tests"},
	{"chat", cli_chat, "talk over MQTT, in a terminal or in a script"},
	{"notify", cli_notify, "tell users something, as a service"},
	{"check-config", cli_check_config,
         "print the configuration in force, or what is wrong with it"},
	{"version", cli_version, "print the version"},
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void print_help(FILE *out)
{
	fprintf(out, "usage: martlet SUBCOMMAND [OPTION]...\n\n");
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(out, "  %-13s %s\n", subcommands[i].name, subcommands[i].help);
	fprintf(out, "\n-c FILE names the configuration; else MARTLET_CONFIG does, else "
	             "/etc/martlet/martlet.conf.\n");
}

int main(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
		print_help(stdout);
		return 0;
	}
	for (size_t i = 0; argc > 1 && i < SUBCOMMANDS; i++) {
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return subcommands[i].run(argc - 1, argv + 1);
	}
	print_help(stderr);
	return 2;
}
