// SPDX-License-Identifier: GPL-2.0
/* set, get: what can be tuned. */
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "spec.h"
#include "tftpkctl.h"

#define ANY	"any"

static const struct {
	const char *word;
	bool value;
} switch_words[] = {
	{ "on", true }, { "true", true }, { "yes", true }, { "1", true },
	{ "off", false }, { "false", false }, { "no", false }, { "0", false },
};

static const char *setting_name(size_t index)
{
	return index < COUNT(settings) ? settings[index].name : NULL;
}

/* The setting of that name, or NULL after an error message. */
static const struct field *find_setting(const char *name)
{
	const char *meant;
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		if (!strcmp(settings[i].name, name))
			return &settings[i];
	}
	meant = nearest_word(name, setting_name);
	if (meant)
		print_error("no setting '%s': did you mean '%s'?", name, meant);
	else
		print_error("no setting '%s': 'tftpkctl help set' lists them",
			    name);
	return NULL;
}

/* setting_bounds() - the range of a setting that there is. */
void setting_bounds(const char *name, uint32_t *min, uint32_t *max)
{
	const struct field *setting = find_setting(name);

	*min = setting ? setting->min : 0;
	*max = setting ? setting->max : 0;
}

static char *value_text(const struct field *setting, const json_t *values)
{
	const json_t *value = object_get(values, setting->name);

	if (json_is_boolean(value))
		return xasprintf("%s", json_is_true(value) ? "on" : "off");
	if (setting->type == FIELD_RANGE)
		return json_is_string(value) ?
			       string_text(values, setting->name) :
			       xasprintf(ANY);
	if (setting->type == FIELD_WORD)
		return string_text(values, setting->name);
	return number_text(values, setting->name);
}

/* print_settings() - settings for a person; a null is a setting not told. */
void print_settings(const json_t *values)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const struct field *setting = &settings[i];
		bool zero;
		char *value;

		if (!object_get(values, setting->name))
			continue;
		value = value_text(setting, values);
		zero = setting->zero && !strcmp(value, "0");
		printf("%-15s %s%s%s", setting->name, value,
		       setting->unit ? " " : "",
		       setting->unit ? setting->unit : "");
		if (zero)
			printf(" (%s)", setting->zero);
		putchar('\n');
		free(value);
	}
}

/* What comes after the range of an amount. */
static char *zero_text(const struct field *setting)
{
	return setting->min ? xasprintf("%s", "") :
			      xasprintf(", 0 for %s", setting->zero);
}

static json_t *parse_switch(const struct field *setting, const char *string)
{
	size_t i;

	for (i = 0; i < COUNT(switch_words); i++) {
		if (!strcmp(switch_words[i].word, string))
			return json_boolean(switch_words[i].value);
	}
	print_error("set %s %s: must be on or off", setting->name, string);
	return NULL;
}

/* The words of a setting, such as "off, missing or all". */
static char *words_text(const struct field *setting, const char *comma,
			const char *last)
{
	const char *const *word = setting->words;
	char *text = xasprintf("%s", *word);

	while (*++word) {
		char *more = xasprintf("%s%s%s", text, word[1] ? comma : last,
				       *word);

		free(text);
		text = more;
	}
	return text;
}

static json_t *parse_word(const struct field *setting, const char *string)
{
	const char *const *word;
	auto_free char *all = NULL;

	for (word = setting->words; *word; word++) {
		if (!strcmp(*word, string))
			return check_alloc(json_string(string));
	}
	all = words_text(setting, ", ", " or ");
	print_error("set %s %s: must be %s", setting->name, string, all);
	return NULL;
}

static json_t *parse_range(const struct field *setting, const char *string)
{
	uint64_t low = 0, high = 0;
	const char *rest;

	if (strcmp(string, ANY) != 0 &&
	    (!parse_number(string, &rest, &low) || *rest != '-' ||
	     !parse_number(rest + 1, &rest, &high) || *rest ||
	     low < setting->min || low > high || high > setting->max)) {
		print_error("set %s %s: must be LOW-HIGH, from %u to %u, or " ANY,
			    setting->name, string, setting->min, setting->max);
		return NULL;
	}
	return json_range((uint32_t)low, (uint32_t)high);
}

static json_t *parse_amount(const struct field *setting, const char *string)
{
	uint64_t amount;

	if (!parse_scaled(string, setting->unit, &amount) ||
	    amount > setting->max || amount < setting->min) {
		char *zero = zero_text(setting);

		print_error("set %s %s: must be %u to %u %s%s", setting->name,
			    string, setting->min, setting->max, setting->unit,
			    zero);
		free(zero);
		return NULL;
	}
	return json_integer((json_int_t)amount);
}

/* The value as JSON, or NULL after an error message. */
static json_t *parse_value(const struct field *setting, const char *string)
{
	switch (setting->type) {
	case FIELD_BOOLEAN:
		return parse_switch(setting, string);
	case FIELD_RANGE:
		return parse_range(setting, string);
	case FIELD_WORD:
		return parse_word(setting, string);
	default:
		return parse_amount(setting, string);
	}
}

/**
 * parse_settings() - read the arguments of 'set'
 * @argc: number of arguments
 * @argv: KEY VALUE [KEY VALUE]...
 * @values: object that takes the values; what is in it already is given twice
 *
 * Prints an error by itself.
 *
 * Return: 0, or an exit code.
 */
int parse_settings(int argc, char **argv, json_t *values)
{
	int arg;

	for (arg = 0; arg < argc; arg += 2) {
		const struct field *setting;
		json_t *value;

		set_error_word(argv[arg]);
		if (arg + 1 == argc)
			return usage_error("set %s: the value is missing",
					   argv[arg]);
		setting = find_setting(argv[arg]);
		if (!setting)
			return EXIT_USAGE;
		if (object_get(values, setting->name))
			return usage_error("set %s: given twice", argv[arg]);
		set_error_word(argv[arg + 1]);
		value = parse_value(setting, argv[arg + 1]);
		if (!value)
			return EXIT_USAGE;
		object_put(values, setting->name, value);
	}
	return 0;
}

/* max-pinned as the module chooses it: a quarter of the memory. */
static json_int_t preset_pinned(void)
{
	struct sysinfo info;
	uint64_t quarter = 0;

	if (!sysinfo(&info))
		quarter = (uint64_t)info.totalram * info.mem_unit / (4U << 20);
	return quarter ? (json_int_t)quarter : 1;
}

/* preset_settings() - all settings as they are at first. */
json_t *preset_settings(void)
{
	json_t *values = check_alloc(json_object());
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const struct field *setting = &settings[i];

		if (setting->type == FIELD_BOOLEAN)
			object_put(values, setting->name,
				   json_boolean(setting->preset));
		else if (setting->type == FIELD_RANGE)
			object_put(values, setting->name, json_range(0, 0));
		else if (setting->type == FIELD_WORD)
			object_put(values, setting->name,
				   json_string(setting->words[setting->preset]));
		else if (setting->preset_text)
			object_put(values, setting->name,
				   json_integer(preset_pinned()));
		else
			object_put(values, setting->name,
				   json_integer(setting->preset));
	}
	return values;
}

/**
 * different_settings() - what must be set to change settings into others
 * @from: values that are
 * @to: values that are wanted
 *
 * Return: those of @to that differ. What the module does not tell does not.
 */
json_t *different_settings(const json_t *from, const json_t *to)
{
	json_t *values = check_alloc(json_object());
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		json_t *old = object_get(from, settings[i].name);
		json_t *new = object_get(to, settings[i].name);
		bool told = !json_is_null(old) && !json_is_null(new);

		if (!json_equal(old, new) &&
		    (told || settings[i].type == FIELD_RANGE))
			object_put(values, settings[i].name, json_incref(new));
	}
	return values;
}

/* setting_lines() - settings as the arguments of 'set', one string each. */
json_t *setting_lines(const json_t *values)
{
	json_t *lines = check_alloc(json_array());
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		char *value;

		if (!object_get(values, settings[i].name))
			continue;
		value = value_text(&settings[i], values);
		array_append(lines, json_sprintf("%s %s", settings[i].name, value));
		free(value);
	}
	return lines;
}

/* Add a setting to the request. */
static void request_setting(struct nlmsghdr *nlh, const struct field *setting,
			    const json_t *value)
{
	uint64_t low = 0, high = 0;
	const char *rest;
	uint32_t word = 0;

	switch (setting->type) {
	case FIELD_BOOLEAN:
		mnl_attr_put_u8(nlh, setting->attr, json_is_true(value));
		break;
	case FIELD_RANGE:
		if (json_is_string(value)) {
			parse_number(json_string_value(value), &rest, &low);
			parse_number(rest + 1, &rest, &high);
		}
		mnl_attr_put_u32(nlh, setting->attr, (uint32_t)low);
		mnl_attr_put_u32(nlh, setting->attr + 1, (uint32_t)high);
		break;
	case FIELD_WORD:
		while (strcmp(setting->words[word], json_string_value(value)) != 0)
			word++;
		mnl_attr_put_u32(nlh, setting->attr, word);
		break;
	default:
		mnl_attr_put_u32(nlh, setting->attr,
				 (uint32_t)json_integer_value(value));
		break;
	}
}

/* change_settings() - set those that @values holds. */
int change_settings(struct ctl *ctl, const json_t *values)
{
	struct nlmsghdr *nlh = nl_request(ctl, TFTPK_CMD_SETTINGS_SET);
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const json_t *value = object_get(values, settings[i].name);

		if (value)
			request_setting(nlh, &settings[i], value);
	}
	return nl_do(ctl, NULL, 0, NULL);
}

int run_set(struct ctl *ctl, int argc, char **argv)
{
	json_t *values = check_alloc(json_object());
	int ret;

	ret = parse_settings(argc, argv, values);
	if (!ret && change_settings(ctl, values))
		ret = nl_fail(ctl, "set %s %s%s", argv[0], argv[1],
			      argc > 2 ? " ..." : "");
	if (ret) {
		json_decref(values);
		return ret;
	}
	if (ctl->json)
		return print_json(json_pack("{s:o}", "set", values));
	print_settings(values);
	json_decref(values);
	return EXIT_SUCCESS;
}

int read_settings(struct ctl *ctl, json_t **values)
{
	nl_request(ctl, TFTPK_CMD_SETTINGS_GET);
	return nl_do(ctl, settings, COUNT(settings), values);
}

int run_get(struct ctl *ctl, int argc, char **argv)
{
	const struct field *setting = NULL;
	json_t *values;

	if (argc) {
		setting = find_setting(argv[0]);
		if (!setting)
			return EXIT_USAGE;
	}
	if (read_settings(ctl, &values))
		return nl_fail(ctl, "get");

	if (ctl->json && setting) {
		json_t *one = check_alloc(json_object());

		object_put(one, setting->name,
			   json_incref(object_get(values, setting->name)));
		print_json(one);
	} else if (ctl->json) {
		return print_json(values);
	} else if (setting) {
		char *value = value_text(setting, values);

		puts(value);
		free(value);
	} else {
		print_settings(values);
	}
	json_decref(values);
	return EXIT_SUCCESS;
}

/* The default, of a switch as a number. */
static char *preset_text(const struct field *setting)
{
	if (setting->words)
		return xasprintf("%s", setting->words[setting->preset]);
	return setting->preset_text ? xasprintf("%s", setting->preset_text) :
				      xasprintf("%u", setting->preset);
}

void explain_settings(void)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const struct field *setting = &settings[i];
		char *preset = preset_text(setting);

		printf("  %-15s %s\n  %-15s ", setting->name, setting->doc, "");
		if (setting->type == FIELD_BOOLEAN) {
			printf("on or off, default %s\n",
			       setting->preset ? "on" : "off");
		} else if (setting->type == FIELD_RANGE) {
			printf("LOW-HIGH, from %u to %u, or " ANY ", default %s\n",
			       setting->min, setting->max, preset);
		} else if (setting->type == FIELD_WORD) {
			auto_free char *all = words_text(setting, ", ", " or ");

			printf("%s, default %s\n", all, preset);
		} else {
			char *zero = zero_text(setting);

			printf("%u to %u %s%s, default %s\n", setting->min,
			       setting->max, setting->unit, zero, preset);
			free(zero);
		}
		free(preset);
	}
}

/* list_settings() - for programs: name, minimum, maximum, unit or words, default. */
void list_settings(void)
{
	size_t i;

	for (i = 0; i < COUNT(settings); i++) {
		const char *unit = settings[i].unit ? settings[i].unit : "switch";
		auto_free char *words = settings[i].words ?
			words_text(&settings[i], "|", "|") : NULL;
		char *preset = preset_text(&settings[i]);

		printf("setting %s %u %u %s %s\n", settings[i].name,
		       settings[i].min, settings[i].max, words ? words : unit,
		       preset);
		free(preset);
	}
}

/**
 * configure_set() - take a line of a file, for a configuration to be
 * @ctl: the context, with the line's options
 * @config: takes what the line says
 * @argc: number of words after the command
 * @argv: these words, and a NULL
 *
 * Return: 0, or an exit code after an error message.
 */
int configure_set(struct ctl *ctl, json_t *config, int argc, char **argv)
{
	return parse_settings(argc, argv, object_get(config, "settings"));
}
