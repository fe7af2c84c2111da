#include "app/config.h"
#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

const char *cli_default_config(void)
{
	const char *path = getenv("MARTLET_CONFIG");

	return path ? path : "/etc/martlet/martlet.conf";
}

struct config *cli_load_config(int argc, char **argv, int *ret_exit_code)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{0},
	};
	const char *path = cli_default_config();
	struct config *config;
	int option;

	while ((option = getopt_long(argc, argv, "c:", options, NULL)) == 'c')
		path = optarg;
	*ret_exit_code = 2;
	if (option != -1 || optind < argc) {
		fprintf(stderr, "usage: martlet %s [-c FILE]\n", argv[0]);
		return NULL;
	}
	*ret_exit_code = 1;
	config = config_load(path, stderr);
	if (config)
		*ret_exit_code = 0;
	return config;
}
