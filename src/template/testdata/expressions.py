"""Makes expressions.json: what small expressions give in the Jinja2 environment of transformers (Jinja2 3.1.6).

The environment is set up as `transformers.utils.chat_template_utils._compile_jinja_template` sets it up (5.23), without the extension for
`{% generation %}`. Run with a Python that has jinja2: python expressions.py
"""

import json
import re
from datetime import datetime
from pathlib import Path

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = Path(__file__).parent
NOW = datetime(2026, 3, 7, 15, 4, 5)

VALUES = {
    "none": None,
    "no": None,
    "text": "Hello World, hello",
    "word": "aBc",
    "fmt": "%s is %d",
    "blank": "",
    "list": ["b", "a", "C"],
    "numbers": [3, 1, 2],
    "empty": [],
    "dict": {"b": 2, "a": 1},
    "nothing": {},
    "nested": [{"n": 2, "t": "x"}, {"n": 1, "t": "y"}, {"n": 2, "t": None}],
    "flag": True,
    "zero": 0,
    "seven": 7,
    "half": 2.5,
    "tools": None,
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "tool_calls": None}],
}

EXPRESSIONS = """
{{ none is iterable }} {{ no is iterable }} {{ missing is iterable }} {{ text is iterable }} {{ 3 is iterable }} {{ dict is iterable }}
{% if tools is iterable and tools | length > 0 %}tools{% endif %}none
{% for x in none %}{{ x }}{% endfor %}
{% for x in no %}{{ x }}{% else %}else{% endfor %}
{% for x in tools or [] %}{{ x }}{% else %}else{% endfor %}
{% for x in missing %}{{ x }}{% else %}else{% endfor %}
{% for x in seven %}{{ x }}{% endfor %}
{% for x in 'ab' %}[{{ x }}]{% endfor %}{% for k in dict %}{{ k }}{% endfor %}
{% for k, v in dict.items() %}{{ k }}{{ v }}{% endfor %}{% for k, v in dict|items %}{{ k }}{{ v }}{% endfor %}
{% for k, v in none|items %}{{ k }}{% endfor %}
{% for k, v in missing|items %}{{ k }}{% else %}else{% endfor %}
{{ none is sequence }} {{ missing is sequence }} {{ list is sequence }} {{ dict is sequence }} {{ text is sequence }} {{ 3 is sequence }}
{{ none is mapping }} {{ dict is mapping }} {{ list is mapping }} {{ missing is mapping }}
{{ none is string }} {{ none is number }} {{ true is number }} {{ true is integer }} {{ half is float }} {{ 1 is float }} {{ missing is string }}
{{ none is defined }} {{ missing is defined }} {{ missing is none }} {{ none is none }} {{ dict.zz is defined }} {{ dict.a is defined }}
{{ none is true }} {{ none is false }} {{ 0 is false }} {{ 1 is true }} {{ false is false }} {{ missing is false }}
{{ none is callable }} {{ range is callable }} {{ text is callable }} {{ text.upper is callable }} {{ missing is callable }}
{{ dict.items is callable }} {{ raise_exception is callable }}
{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aB' is lower }} {{ '' is lower }} {{ '12' is upper }}
{{ 3 is odd }} {{ 3 is even }} {{ 6 is divisibleby 3 }} {{ none is sameas none }} {{ 1 is sameas true }} {{ [] is sameas [] }}
{{ none | length }}
{{ missing | length }}
{{ seven | length }}
{{ dict | length }} {{ list | count }} {{ text | length }}
{{ none | list }}
{{ missing | list }}
{{ none | join(',') }}
{{ missing | join(',') }}
{{ list | join(',') }} {{ text | join('-') }} {{ dict | join }}
{{ none | first }}
{{ missing | first }}
{{ empty | first }}{{ empty | last }}
{{ none | last }}
{{ none | default('d') }} {{ none | default('d', true) }} {{ missing | default('d') }} {{ missing | default }} {{ '' | default('d', boolean=true) }}
{{ none | upper }} {{ none | trim }} {{ none | string }} {{ none | capitalize }} {{ none | title }}
{{ missing | upper }}|{{ missing | trim }}|{{ missing | string }}|{{ missing | capitalize }}|{{ missing | title }}
{{ none | int }} {{ none | float }} {{ missing | int }} {{ missing | float }} {{ missing | int(3) }}
{{ none | tojson }} {{ none | e }} {{ none | safe }}
{{ missing | tojson }}
{{ none | sort }}
{{ missing | sort }}
{{ none | sum }}
{{ missing | sum }} {{ empty | sum }}
{{ none | reverse | list }}
{{ missing | reverse | list }}
{{ none | unique | list }}
{{ missing | unique | list }}
{{ none | map('upper') | list }}
{{ missing | map('upper') | list }}
{{ none | select | list }}
{{ missing | select | list }} {{ missing | rejectattr('x') | list }}
{{ none | max }}
{{ missing | max }}|{{ empty | min }}|{{ empty | max }}
{{ none | dictsort }}
{{ none | batch(2) | list }}
{{ missing | batch(2) | list }}
{{ none | round }}
{{ none | abs }}
{{ none | replace('o', 'x') }} {{ missing | replace('o', 'x') }}
{{ none | wordcount }} {{ text | wordcount }} {{ missing | wordcount }} {{ "it's a-b  c_d" | wordcount }}
{{ none ~ 'x' }} {{ missing ~ 'x' }} {{ 1 ~ none ~ true ~ half }}
{{ none + 'x' }}
{{ missing + 'x' }}
{{ 'x' + missing }}
{{ missing + 1 }}
{{ missing - 1 }}
{{ missing * 2 }}
{{ missing < 1 }}
{{ missing == 1 }} {{ missing == none }} {{ missing != none }} {{ missing == missing }}
{{ none == none }} {{ none == false }} {{ none == 0 }} {{ none != '' }}
{{ none < 1 }}
{{ none in list }} {{ 'a' in list }} {{ 'a' in dict }} {{ 'lo' in text }} {{ 3 in numbers }} {{ 1 in [true] }}
{{ 'a' in none }}
{{ 'a' in missing }} {{ 'a' not in missing }}
{{ missing in list }} {{ missing not in list }}
{{ 'x' in seven }}
{{ 1 in 'abc' }}
{{ none.x }}|{{ none['x'] }}|{{ none[0] }}
{{ none.x.y }}
{{ missing.x }}
{{ missing['x'] }}
{{ dict.zz }}|{{ dict['zz'] }}|{{ list[9] }}|{{ list.zz }}|{{ text.zz }}|{{ text[99] }}
{{ dict.zz.y }}
{{ none() }}
{{ missing() }}
{{ none[1:] }}
{{ missing[1:] }}
{{ text[1:3] }} {{ list[:2] }} {{ list[::-1] }} {{ text[-5:] }} {{ numbers[-1] }} {{ text[::4] }}
{{ not none }} {{ not missing }} {{ not empty }} {{ not nothing }} {{ not blank }} {{ not zero }} {{ not 0.0 }}
{{ none or 'x' }} {{ missing or 'x' }} {{ none and 'x' }} {{ blank or none or 'y' }} {{ list and 'z' }}
{{ 'a' if none else 'b' }} {{ 'a' if missing else 'b' }} {{ 'a' if false }}|
{{ ('a' if false) is defined }} {{ ('a' if false) | default('d') }}
{{ '%s' % 'a' }} {{ '%s-%s' % ('a', 1) }} {{ '%d' % 7 }} {{ '%05.2f' % 3.14159 }} {{ '%x' % 255 }} {{ '%%' % () }} {{ '%s' % none }} {{ '%s' % true }}
{{ fmt % ('x', 3) }} {{ '%s' % list }} {{ '%r' % 'a' }} {{ '%5s|%-5s|' % ('a', 'b') }} {{ '%s' % half }} {{ '%+d' % 3 }} {{ '%e' % 12345.678 }}
{{ '%(a)s %(b)d' % dict }} {{ '%s' % dict }} {{ '%g' % 0.0001 }} {{ '%i' % 3.9 }} {{ '%c' % 'x' }} {{ '%o' % 8 }} {{ '%X' % 255 }} {{ '%#x' % 255 }}
{{ '%s' % ('a', 'b') }}
{{ '%s %s' % 'a' }}
{{ '%d' % 'a' }}
{{ '%q' % 1 }}
{{ 'abc' % () }} {{ 'abc' % {} }}
{{ 'abc' % 1 }}
{{ '%s' % missing }}|
{{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ true % 2 }} {{ seven % half }} {{ 2 + 7 % 4 * 2 }} {{ 1 ~ 7 % 4 }}
{{ 7 % 0 }}
{{ none % 2 }}
{{ list % 2 }}
{{ '%s' % 'a' + 'b' }} {{ '%s' % ('a' + 'b') }} {{ 'x' + '%s' % 'a' | upper }}
{{ '%s-%s' | format('a', 'b') }} {{ '%(x)s' | format(x=1) }} {{ '%.3f' | format(2) }} {{ '%3d|%-3d|%03d' | format(1, 2, 3) }}
{{ word.swapcase() }} {{ word.upper() }} {{ word.casefold() }} {{ word.center(7, '*') }} {{ word.ljust(5) }}| {{ word.rjust(5, '.') }}
{{ 'a\\tb'.expandtabs(4) }} {{ 'ab12'.isalnum() }} {{ 'ab'.isalpha() }} {{ '12'.isnumeric() }} {{ '12'.isdecimal() }} {{ 'Ab C'.istitle() }} {{ 'a1'.isidentifier() }}
{{ 'a\\nb\\n'.splitlines() }} {{ 'a\\nb'.splitlines(true) }} {{ text.count('l') }} {{ text.rfind('l') }} {{ text.rindex('l') }} {{ text.find('zz') }}
{{ text.startswith('He') }} {{ text.startswith(('x', 'H')) }} {{ text.endswith('lo') }} {{ text.startswith('e', 1) }}
{{ text.title() }} {{ text.capitalize() }} {{ text | title }} {{ "it's o'neil" | title }} {{ text.translate({}) }}
{{ 'a{}b{x}'.format(1, x=2) }} {{ '{:>5}|{:.2f}'.format('a', 1.234) }} {{ '{0}{1}{0}'.format('a', 'b') }}
{{ text.encode }}
{{ text.__class__ }}|
{{ text.__class__.__mro__ }}
{{ list.append('x') }}
{{ list.pop() }}
{{ dict.update({}) }}
{{ dict.pop('a') }}
{{ dict.setdefault('z', 1) }}
{{ list.count('a') }} {{ list.index('a') }} {{ list.copy() }} {{ dict.copy() }}
{{ dict.get('a') }} {{ dict.get('z') }} {{ dict.get('z', 5) }} {{ dict.keys() | list }} {{ dict.values() | list }} {{ dict.items() | list }}
{{ dict.keys() }} {{ dict.values() }} {{ dict.items() }}
{{ dict | attr('a') }}|{{ dict | attr('zz') }}|{{ text | attr('zz') }}|
{{ (dict | attr('get'))('a') }}
{{ dict | dictsort }} {{ dict | dictsort(by='value') }} {{ dict | dictsort(reverse=true) }}
{{ dict | items | list }} {{ dict | list }} {{ dict | tojson }} {{ dict | string }} {{ nothing | list }} {{ nothing }}
{{ joiner(', ') is callable }}{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ j() }}{% set k = joiner() %}{{ k() }}{{ k() }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}
{{ cycler() }}
{% for x in numbers %}{{ loop.cycle('odd', 'even') }} {{ loop.index }}/{{ loop.length }}{% if not loop.last %},{% endif %} {% endfor %}
{% for x in numbers %}{{ loop.previtem is defined }}{{ loop.nextitem }}{{ loop.revindex }}{{ loop.changed(x) }} {% endfor %}
{% for x in list recursive %}{{ x }}{{ loop.depth }}{% endfor %}{% for x in list if x != 'a' %}{{ x }}{% endfor %}
{% for x in [1, 2, 3, 4] %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}
{{ list | sort }} {{ list | sort(case_sensitive=true) }} {{ numbers | sort(reverse=true) }} {{ nested | sort(attribute='n') | map(attribute='t') | list }}
{{ nested | groupby('n') | map('first') | list }} {% for g in nested | groupby('n') %}{{ g.grouper }}{{ g.list | length }}{% endfor %}
{% for n, items in nested | groupby('n') %}{{ n }}:{{ items | map(attribute='t') | list }} {% endfor %}
{{ nested | selectattr('t') | list | length }} {{ nested | selectattr('n', 'equalto', 2) | list | length }} {{ nested | rejectattr('t', 'none') | map(attribute='t') | join }}
{{ nested | map(attribute='zz') | list }} {{ nested | map(attribute='zz', default='d') | list }} {{ nested | sum(attribute='n') }}
{{ list | unique | list }} {{ ['a', 'A', 'b'] | unique | list }} {{ ['a', 'A'] | unique(case_sensitive=true) | list }}
{{ numbers | max }} {{ list | min }} {{ list | max }} {{ nested | max(attribute='n') }}
{{ numbers | batch(2) | list }} {{ numbers | batch(2, 'x') | list }} {{ numbers | slice(2) | list }} {{ numbers | slice(2, 'x') | list }}
{{ numbers | reverse | list }} {{ word | reverse }} {{ numbers | first }} {{ numbers | last }} {{ word | first }} {{ word | last }} {{ dict | first }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 1234.5 | round(-2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} {{ 7 | round }}
{{ -3 | abs }} {{ -2.5 | abs }} {{ '3' | int + 1 }} {{ '3.9' | int }} {{ '0x1A' | int(0, 16) }} {{ 'x' | int(-1) }} {{ '1e2' | float }} {{ true | int }}
{{ 'a b c' | replace(' ', '-') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 5 | replace('5', '6') }}
{{ '  x ' | trim }}| {{ 'xxaxx' | trim('x') }} {{ 'abc' | upper | lower }} {{ 'ab' | list }} {{ 'ab' | center(6) }}|
{{ 'foo bar baz qux' | truncate(9) }} {{ 'foo bar baz qux' | truncate(9, true) }} {{ 'foo bar baz qux' | truncate(11, false, '!') }} {{ 'foo bar' | truncate(5, true, '', 0) }}
{{ 'foo bar baz' | wordwrap(5) }} {{ '<b>a &amp; b</b>' | striptags }} {{ 1000 | filesizeformat }} {{ 1500000 | filesizeformat }} {{ 1024 | filesizeformat(true) }}
{{ '<a b="c">' | e }} {{ '<a>' | escape }} {{ '<a>' | safe }} {{ '<a>' | forceescape }} {{ 'a b&c/d' | urlencode }} {{ {'a': 1, 'b': 'x y'} | urlencode }}
{{ 'a\\nb\\n\\nc' | indent(2) }} {{ 'a\\nb' | indent(2, true) }} {{ 'a\\n\\nb' | indent(2, blank=true) }} {{ 'a\\nb' | indent('> ') }}
{{ {'a': none, 'b': [1, 2.0, true]} | tojson }} {{ 'é<>&' | tojson }} {{ 'é' | tojson(ensure_ascii=true) }} {{ dict | tojson(sort_keys=true) }}
{{ dict | tojson(indent=2) }} {{ [1, [2]] | tojson(indent=1) }} {{ empty | tojson(indent=4) }} {{ [1, 2] | tojson(indent=0) }}
{{ dict | tojson(separators=(',', ':')) }} {{ [1, 2] | tojson(separators=(' , ', ': ')) }} {{ dict | tojson(indent=1, separators=(',', '=')) }}
{{ range(3) | tojson }}
{{ dict.keys() | tojson }}
{{ messages[0] | tojson }} {{ messages | map(attribute='role') | list | tojson }} {{ (1, 'a') | tojson }}
{{ range(3) | list }} {{ range(2, 8, 3) | list }} {{ range(3, 0, -1) | list }} {{ range(0) | list }} {{ range(3) }} {{ range(5) | sum }}
{{ dict(a=1) }} {{ dict }} {{ {'a': 1}.a }} {{ {'a': {'b': 2}}.a.b }} {{ {1: 'x'}[1] }} {{ {'items': 3}['items'] }}
{{ namespace(a=1).a }} {% set ns = namespace() %}{% set ns.x = 3 %}{{ ns.x }} {% set ns.x = ns.x + 1 %}{{ ns.x }}{{ ns.zz }}
{% set ns = namespace(l=[]) %}{% for x in numbers %}{% set ns.l = ns.l + [x * 2] %}{% endfor %}{{ ns.l }} {{ ns.l | length }} {{ ns.l[0] }} {{ ns.l == [6, 2, 4] }}
{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}{% if true %}{% set x = 3 %}{% endif %}{{ x }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = (3, 4) %}{{ c }}{{ d }}{% for (k, v) in [(1, 2)] %}{{ k }}{{ v }}{% endfor %}
{% set x %}a{{ 1 }}{% endset %}{{ x }} {{ x | length }} {% set x | upper %}b{% endset %}{{ x }}
{% macro m(a, b='x') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }} {{ m(1, 2) }} {{ m(b=3, a=4) }}
{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}x{% endcall %}{% macro n(a) %}[{{ a }}]{% endmacro %}{{ n() }} {{ m is callable }} {{ m.name }}
{{ 1 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 2 ** 3 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ 1e3 }} {{ 10 / 5 }} {{ 7.0 // 2 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }}
{{ 1 / 0 }}
{{ 1 + 'a' }}
{{ 'a' + 1 }}
{{ 'a' * 3 }} {{ 3 * 'a' }} {{ [1] * 2 }} {{ 'a' * 0 }} {{ 'a' * -1 }} {{ true + 1 }} {{ (1, 2) + (3,) }} {{ [1] + [2] }} {{ 1.5 + 1 }}
{{ [1] + (2,) }}
{{ 'a' - 'b' }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ true == 1 }} {{ (1, 2) == [1, 2] }}
{{ 1 < 'a' }}
{{ true }} {{ True }} {{ false }} {{ none }} {{ None }} {{ 1.0 }} {{ 1e20 }} {{ 1e-7 }} {{ 0.1 + 0.2 }} {{ 10000000000000000000000 }} {{ 3.0 * 2 }}
{{ 'it"s' }} {{ ["it's", 'a"b', 'é\\n'] }} {{ ('a',) }} {{ () }} {{ [none, true, 1.5] }} {{ {'a': "b'"} }} {{ [missing] }}
{{ list }} {{ nested[0] }} {{ messages[1] }} {{ text.split() }} {{ ('a', 1) | list }} {{ numbers | map('string') | list }}
{{ missing }}|{{ missing is undefined }}|{{ missing | e }}|{{ (missing, 1) }}
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%A %B %y %I %p %j %a %e %-d %-m %F %T %D %R %u %w %U %%') }}
{{ messages[0]['role'] == 'user' }} {{ messages[-1].content }} {{ messages | length }} {{ messages[1].tool_calls is defined }} {{ messages[0].tool_calls is defined }}
{{ messages[1].tool_calls is defined and messages[1].tool_calls is not none }} {{ messages[1].get('tool_calls') is none }} {{ 'role' in messages[0] }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ (messages | last).role }} {{ messages[0].content.strip().split('\\n')[0] }} {{ messages[:-1] | length }}
{{ raise_exception('stop ' ~ 1) }}
{{ bos_token }}|{{ eos_token is defined }}|{{ pad_token }}|{{ unk_token is defined }}|{{ add_generation_prompt }}|{{ documents is none }}|{{ tools is none }}
{{ lipsum is defined }} {{ self is defined }} {{ loop is defined }} {{ range is defined }} {{ namespace is defined }} {{ strftime_now is defined }} {{ dict is defined }}
{{ [1, 2] is in [[1, 2]] }} {{ 1 is in numbers }} {{ 'a' is not in list }} {{ 1 is eq 1 }} {{ 2 is gt(1) }} {{ 'x' is ne 'y' }}
{{ list is not none and list | length > 2 and list[0] is string }} {{ (list | length) * 2 - 1 }} {{ list | length - 1 }} {{ not list is none }}
{{ 'abc'[1] }} {{ 'abc'[-1] }} {{ [[1, 2], [3]][0][1] }} {{ {'a': [1]}['a'][0] }} {{ 'a.b'.split('.')[1] | upper }} {{ ('a' ~ 'b') | upper }} {{ -seven | abs }}
{{ ['a', 'b'] | map('upper') | join(' ') }} {{ [1, 2, 3] | select('odd') | list }} {{ [0, 1, none, ''] | select | list }} {{ [0, 1] | reject | list }}
{{ 'a' | map('upper') | list }} {{ dict | map('upper') | list }} {{ numbers | map('multiply') | list }}
{{ 'x' is filter }} {{ 'upper' is filter }} {{ 'odd' is test }} {{ 'x' is test }}
{{ text | nosuch }}
{{ text is nosuch }}
{{ 'a' | upper() ~ 'b' | upper }} {{ ('a' | upper)[0] }} {{ 1 if 2 > 1 else 3 if false else 4 }} {{ [x for x in list] }}
{{ list[1:] + ['z'] }} {{ (list + numbers)[3] }} {{ (list + numbers) | length }} {{ 'a' in list + numbers }} {{ list + [] == list }}
{{ text | pprint }} {{ dict | pprint }} {{ '\\u00e9\\x41' }} {{ 'a' 'b' }} {{ "\\N{BULLET}" | length }}
{% filter upper %}a{{ 'b' }}{% endfilter %} {% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %} {% raw %}{{ x }}{% endraw %} {# c #}x
""".strip().split("\n")


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def templates():
    """The lines, and of those without statements each expression by itself. A line holds a backslash twice where the template holds it
    once."""
    for line in EXPRESSIONS:
        line = line.replace("\\\\", "\\")
        yield from [line] if "{%" in line else re.split(r"(?<=\}\}) (?=\{\{)", line)


def main():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    special = {"bos_token": "<s>", "pad_token": "<pad>"}
    cases = []
    for template in templates():
        try:
            values = {"documents": None, "add_generation_prompt": True, **special, **VALUES}
            cases.append({"template": template, "output": env.from_string(template).render(**values)})
        except Exception as error:
            cases.append({"template": template, "error": f"{type(error).__name__}: {error}".split("\n")[0]})
    made = {"now": NOW.isoformat(), "special": special, "values": VALUES, "cases": cases}
    (HERE / "expressions.json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")


main()
