"""Makes jinja2.json and chat.json: what Jinja2 3.1.6 (set up as the reference harness sets it up) and transformers 5.23 give.

Run with a Python that has jinja2 and transformers: python make.py
"""

import json
import re
from pathlib import Path

from jinja2 import BaseLoader, Environment, StrictUndefined
from transformers.utils.chat_template_utils import render_jinja_template

HERE = Path(__file__).parent

DOC = {
    "question": "  What is it?\n",
    "text": "Hello World, hello",
    "quote": "it's \"quoted\"\u00a0\u200b",
    "choices": {"text": ["red", "it's", "b\"q", "\u00e9\n"], "label": ["A", "B", "C", "D"]},
    "answerKey": "C",
    "mc2_targets": {"labels": [1, 0, 1], "items": ["x"], "keys": 3},
    "label": 2,
    "big": 123456789012,
    "small": 1e-05,
    "large": 1e16,
    "ratio": 0.1,
    "whole": 3.0,
    "flag": True,
    "none": None,
    "empty": "",
    "list": ["a", "b", "c", "d"],
    "nested": [[1, "a"], {"k": None, "f": False}],
    "numbers": [3, 1, 2],
    "option1": "cat",
    "option2": "dog",
    "sentence": "The _ ran home. Really_so",
    "answer": "2",
    "unicode": "\u00dfTRASSE \u03a3\u0391\u03a3",
    "blanks": "\x1c a \x1f b\u2003",
    "hint": "#### 42",
    "num": "  17 ",
    "Avaliación": 0,
}

TEMPLATES = [
    # plain text and line ends
    "", "plain", "plain\n", "a\r\nb\rc\n", "{{ text }}\n", "a\n{% if flag %}\nyes\n{% endif %}\nb\n",
    "  {% if flag %}  x  {% endif %}  \n\n", "{%- if flag -%}  x  {%- endif -%}\n y", "a  {{- text -}}  b", "a {#- c -#} b",
    "{# comment #}\nx", "{% raw %}{{ text }}{% endraw %}", "{% raw -%}  {% if %}  {%- endraw %}", "{{ '}}' }}", "{{ {'a': {'b': 1}} }}",
    # printing
    "{{ flag }} {{ none }} {{ label }} {{ big }} {{ small }} {{ large }} {{ ratio }} {{ whole }}", "{{ choices }}", "{{ choices.text }}",
    "{{ nested }}", "{{ quote }}", "{{ [quote] }}", "{{ [small, large, whole, flag, none] }}", "{{ ['a', \"b\"] }}", "{{ ('a',) }}", "{{ (1, 'b') }}",
    "{{ {'k': quote} }}", "{{ [] }}", "{{ {} }}", "{{ [1, [2, (3, 4)]] }}", "{{ list[1:] }}", "{{ list[-2:] }}", "{{ list[:-1] }}", "{{ list[::-1] }}",
    "{{ list[::2] }}", "{{ list[1:][0] }}", "{{ list[-1] }}", "{{ text[2:5] }}", "{{ text[:-3] }}", "{{ text[::-1] }}", "{{ text[0] }}", "{{ text[-1] }}",
    "{{ 1 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 4 / 2 }}", "{{ 1 + label }} {{ label - 1 }} {{ label * 2 }}",
    "{{ whole + 1 }} {{ 1.5 * 2 }} {{ 1e20 }} {{ 1e-7 }} {{ 0.1 + 0.2 }}", "{{ true }} {{ True }} {{ none }} {{ None }} {{ false }}",
    # string filter and friends
    "{{ label | string }}", "{{ choices.text | string }}", "{{ small | string }}", "{{ none | string }}", "{{ flag | string }}x", "{{ text | string }}",
    "{{ text | list }}", "{{ list | list }}", "{{ choices | list }}", "{{ range(3) | list }}", "{{ list[1:] | list }}", "{{ choices.text | join(', ') }}",
    "{{ [1, 2.5, none, true, small] | join('-') }}", "{{ list | join }}", "{{ text | join('.') }}", "{{ nested | join('; ') }}",
    "{{ list | map('upper') | join('') }}", "{{ list | map('upper') | list }}", "{{ numbers | map('string') | list }}", "{{ [choices] | map(attribute='label') | list }}",
    "{{ list | length }} {{ text | length }} {{ choices | length }} {{ unicode | length }}", "{{ list | count }}",
    "{{ question | trim }}|", "{{ '--a--' | trim('-') }}", "{{ blanks | trim }}|", "{{ 12 | trim }}", "{{ text | replace('o', '0') }}", "{{ text | replace('o', '0', 1) }}",
    "{{ label | replace('2', 'two') }}", "{{ [quote, small] | replace('x', '') }} {{ [quote] | upper }}", "{{ text | replace('', '-') }} {{ text | replace('l', 1, count=2) }}", "{{ text | upper }} {{ text | lower }} {{ 'hELLO wORLD' | capitalize }} {{ unicode | capitalize }} {{ 'a b' | title }}",
    "{{ answer | int }} {{ answer | int - 1 }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ '3.7' | int }} {{ 3.7 | int }} {{ num | int }} {{ none | int }} {{ '1e3' | int }} {{ 'inf' | int }}",
    "{{ '0x1f' | int(0, 16) }} {{ '1_000' | int }} {{ flag | int }} {{ '-5' | int }} {{ [] | int }}", "{{ '1.5' | float }} {{ 'x' | float }} {{ 2 | float }} {{ ' 2.5 ' | float }}",
    "{{ none | default('d') }} {{ empty | default('d', true) }} {{ missing | default('d') }} {{ missing is defined }}", "{{ numbers | sort }} {{ numbers | sort(reverse=true) }}",
    "{{ numbers | sum }} {{ numbers | max }} {{ numbers | min }} {{ list | first }} {{ list | last }} {{ list | reverse | list }} {{ 'abc' | reverse }}",
    "{{ -3 | abs }} {{ 2.567 | round(2) }} {{ 2.5 | round }} {{ [1, 1, 2] | unique | list }}", "{{ numbers | select('odd') | list }} {{ numbers | reject('odd') | list }}",
    "{{ {'b': 1, 'a': [true, none]} | tojson }}", "{{ \"<é'>\" | tojson }}", "{{ list | batch(2) | list }}", "{{ choices | items | list }}", "{{ choices | dictsort }}",
    # methods
    "{{ question.strip() }}|", "{{ blanks.strip() }}|", "{{ blanks.split() }}", "{{ question.lstrip() }}|", "{{ question.rstrip() }}|", "{{ 'xxaxx'.strip('x') }} {{ 'abcba'.lstrip('ab') }}",
    "{{ choices.label.index(answerKey) }}", "{{ ['A', 'B'].index('B') }}", "{{ choices['label'].index('D') }}", "{{ list[1:].index('c') }}", "{{ numbers.index(2) }}", "{{ [1, 2].index(2.0) }}",
    "{{ text.split() }} {{ text.split('o') }} {{ text.split('o', 1) }} {{ text.split(',')[1].strip() }}", "{{ ' a  b  c '.split(None, 1) }} {{ ' a  b  c '.rsplit(None, 1) }}",
    "{{ 'a-b-c'.rsplit('-', 1) }} {{ 'a-b-c'.split('-', maxsplit=1) }} {{ ''.split() }} {{ ''.split(',') }}", "{{ ', '.join(list) }} {{ ''.join(['a', 'b']) }}",
    "{{ text.replace('l', 'L') }} {{ text.replace('l', 'L', 2) }} {{ 'ab'.replace('', '-') }}", "{{ text.capitalize() }} {{ unicode.capitalize() }} {{ empty.capitalize() }}", "{{ text.lower() }} {{ text.upper() }}",
    "{{ text.startswith('He') }} {{ text.endswith('x') }} {{ text.find('World') }} {{ text.find('zz') }} {{ text.count('l') }} {{ list.count('a') }}", "{{ '12'.isdigit() }} {{ '\u00b2'.isdigit() }} {{ 'a'.isdigit() }}",
    "{{ 'a b'.title() }} {{ text.index('W') }} {{ 'x=y=z'.partition('=') }} {{ 'x=y=z'.rpartition('=') }} {{ '7'.zfill(3) }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }}",
    "{{ choices.get('text') }} {{ choices.get('zz') }} {{ choices.get('zz', 1) }}", "{{ choices.keys() | list }} {{ choices.values() | list }} {{ choices.items() | list }}",
    "{% for k, v in choices.items() %}{{ k }}={{ v }};{% endfor %}", "{{ mc2_targets.labels }} {{ mc2_targets['items'] }} {{ mc2_targets['keys'] }}", "{{ mc2_targets.items() | list }}",
    "{{ '{} {}'.format(1, 'a') }}", "{{ '%s-%d' | format('a', 3) }}", "{{ sentence.split('_', 1)[1].strip() }}", "{{ [sentence.split('_')[0] + option1, sentence.split('_')[0] + option2] }}",
    # operators
    "{{ text ~ label ~ none ~ flag }}", "{{ 'a' ~ [1, 'b'] }}", "{{ 'a' + 'b' }} {{ [1] + [2] }} {{ 'ab' * 2 }} {{ [0] * 2 }}", "{{ 'a' in list }} {{ 'z' not in list }} {{ 'ell' in text }} {{ 'text' in choices }}",
    "{{ 1 == 1.0 }} {{ flag == 1 }} {{ '1' == 1 }} {{ list[1:] == ['b', 'c', 'd'] }} {{ none == false }}", "{{ 1 < label <= 2 }} {{ not flag }} {{ flag and 'x' }} {{ empty or 'y' }} {{ none or 0 }}",
    "{{ 'yes' if flag else 'no' }} {{ 'yes' if label == 0 else 'no' }}", "{{ ['no', 'yes'][label - 1] }} {{ {'a': 1}['a'] }} {{ {'a': 1}.a }}", "{{ 'a' 'b' }}", "{{ (1, 2)[0] }}",
    # tests
    "{{ none is none }} {{ label is none }} {{ missing is defined }} {{ missing is undefined }} {{ text is defined }} {{ choices.zz is defined }}", "{{ text is string }} {{ label is number }} {{ list is iterable }} {{ choices is mapping }} {{ list is sequence }} {{ text is not string }}",
    "{{ label is even }} {{ 3 is odd }} {{ 4 is divisibleby 2 }} {{ flag is true }} {{ 'a' is in ['a'] }} {{ whole is float }} {{ label is integer }} {{ flag is boolean }}", "{% if missing is not defined %}ok{% endif %}",
    # statements
    "{% for x in list %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}", "{% for x in list if x != 'b' %}{{ loop.index0 }}{{ x }} {% else %}none{% endfor %}", "{% for x in [] %}{% else %}none{% endfor %}",
    "{% for i in range(label) %}{{ i }}{% endfor %}", "{% for i in range(1, 6, 2) %}{{ i }} {% endfor %}", "{% for c in 'abc' %}{{ c }}.{% endfor %}", "{% for k in choices %}{{ k }} {% endfor %}", "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}-{{ b }} {% endfor %}",
    "{% set x = text.split() %}{{ x[0] }}", "{% set a, b = 1, 2 %}{{ a + b }}", "{% set x %}in {{ label }}{% endset %}{{ x }}", "{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{% endfor %}{{ x }}", "{% set ns = namespace(n=0) %}{% for i in numbers %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
    "{% if label == 0 %}a{% elif label == 2 %}b{% else %}c{% endif %}", "{% macro m(x, y=2) %}[{{ x }}{{ y }}]{% endmacro %}{{ m(1) }}{{ m(1, y=3) }}", "{% filter upper %}abc{% endfilter %}", "{% with y = 3 %}{{ y }}{% endwith %}",
    "{% set letters = ['A', 'B', 'C', 'D'] %}{% for c in choices.text %}{{ letters[loop.index0] }}. {{ c }}\n{% endfor %}Answer:", "{% for i in range(list | length) %}{{ list[i] }}{{ '' if loop.last else ', ' }}{% endfor %}",
    # literals
    r"{{ 'a\nb\t\x41\u00e9\101\\' }}", r"{{ '\d+\/' }}", r"""{{ "it\'s" }}{{ 'say \"x\"' }}""", r"{{ '\a\v' }}", "{{ 'line\nbreak' }}", "{{ 1_000 }} {{ 0x1F }} {{ 1e3 }} {{ 'é😀' }}",
    # regex_replace
    r"{{ text | regex_replace('l+', 'L') }} {{ text | regex_replace('(H)(e)', '\\2\\1') }} {{ text | regex_replace('(?P<x>W)', '<\\g<x>\\g<0>>') }} {{ text | regex_replace('l', '', 2) }} {{ text | regex_replace('l', 'L', count=1) }}",
    r"{{ 'abxd' | regex_replace('x*', '-') }} {{ 'a.b' | regex_replace('\\.', '\\n') }} {{ 'a b' | regex_replace('\\s', '_') }} {{ hint | regex_replace('#### (\\d+)', '\\g<1>!') }}", r"{{ '[x] a [y]' | regex_replace('\\[.*?\\]', '') }}",
    # names beyond ASCII
    "{{ 0 if Avaliación == 0 else 1 }} {{ {'ñ': 2}.ñ }}",
    # errors
    "{{ missing }}", "{{ missing.x }}", "{{ choices.zz }}", "{{ choices.zz.y }}", "{{ 'x' if false }}", "{% if missing %}x{% endif %}", "{{ missing == 1 }}", "{{ missing ~ 'x' }}", "{{ missing | string }}", "{{ missing | join }}", "{{ missing | trim }}",
    "{{ missing | length }}", "{{ missing + 1 }}", "{% for x in missing %}{% endfor %}", "{{ list.index('z') }}", "{{ text.index('zz') }}", "{{ list[9] }}", "{{ text.nosuch() }}", "{{ label.strip() }}", "{{ none.strip() }}", "{{ ', '.join([1]) }}", "{{ ', '.join(text.missing) }}", "{{ text.replace(missing, '') }}",
    "{{ text | nosuch }}", "{{ text is nosuch }}", "{{ nosuch() }}", "{{ text }", "{% if x %}", "{{ 1 / 0 }}", "{{ text + 1 }}", "{{ ''.split('') }}", "{% include 'x' %}", "{{ 'a' | regex_replace('(', '') }}", r"{{ 'a' | regex_replace('a', '\\1') }}", r"{{ 'a' | regex_replace('a', '\\q') }}",
    r"{{ '\x4' }}", "{{ [][0] }}", "{{ [] | first }}", "{{ none | length }}", "{{ list | join(', ') | nosuch('a') }}", "{{ flag.x }}", "{{ unknown_function(1) }}", "{{ 5 | trim('5') | int + missing }}",
]


def regex_replace(string, pattern, repl, count=0):
    return re.sub(pattern, repl, string, count=count)


def jinja2_cases():
    env = Environment(loader=BaseLoader, undefined=StrictUndefined, keep_trailing_newline=True)
    env.filters["regex_replace"] = regex_replace
    cases = []
    for template in TEMPLATES:
        try:
            cases.append({"template": template, "output": env.from_string(template).render(**DOC)})
        except Exception as error:
            cases.append({"template": template, "error": f"{type(error).__name__}: {error}"})
    return {"fields": DOC, "cases": cases}


def message(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    [message("user", "Hi there")],
    [message("user", " Hi\n"), message("assistant", "Hello"), message("user", "More?")],
    [message("system", "Be brief."), message("user", "Hi")],
    [message("user", "Q"), message("assistant", "The answer is")],
    [message("user", "Q"), message("assistant", "The answer is ")],
    [message("user", "Q"), message("assistant", "A"), message("user", "Q2"), message("assistant", "  A\n")],
    [message("user", "a"), message("user", "b")],
    [message("system", "S"), message("user", "it's \"x\" <é>"), message("assistant", "y{{ z }}")],
]

CHAT_TEMPLATES = {
    "alternating": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system turns') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Turns must alternate') }}{% endif %}{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<turn>' + role + '\n' + message['content'] | trim + '</turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}""",
    "blocks": """{% for message in messages %}
    {% if loop.first and message.role != 'system' %}
{{ '<|system|>default' + eos_token }}
    {% endif %}
    {%- if message.role == 'assistant' %}
        {%- generation %}
<|assistant|>{{ message.content }}{{ eos_token }}
        {%- endgeneration %}
    {%- else %}
<|{{ message.role }}|>
{{ message.content }}<|end|>
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
<|assistant|>
{% endif %}
""",
    "namespace": """{%- set ns = namespace(system='', seen=false) -%}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{%- set ns.system = m.content -%}{%- continue -%}{%- endif -%}
{%- if m['role'] == 'user' and not ns.seen -%}
{{- '[INST] ' ~ (ns.system ~ '\n\n' if ns.system else '') ~ m.content.strip() ~ ' [/INST]' -}}
{%- set ns.seen = true -%}
{%- elif m['role'] == 'user' -%}{{- '[INST] ' + m.content + ' [/INST]' -}}
{%- else -%}{{- ' ' + m.content + eos_token -}}{%- endif -%}
{%- endfor -%}
""",
    "json": """{{ bos_token }}{% if tools is not none %}tools{% endif %}{% for m in messages %}{{ m | tojson }}
{% endfor %}{{ messages | tojson(indent=2) }}{{ undefined_name }}{% if undefined_name is defined %}x{% endif %}{% set loop_messages = messages[1:] %}{{ loop_messages | length }}{{ messages[-1].content.split(' ')[-1] }}{{ messages[0].name }}{{ messages[0].content[:2] | upper }}
""",
    "broken": "{{ messages[0].content.missing.more }}",
}


def chat_cases():
    cases = []
    for name, template in CHAT_TEMPLATES.items():
        for messages in CONVERSATIONS:
            for add_generation_prompt in (True, False):
                continues = not add_generation_prompt and messages[-1]["role"] == "assistant"
                case = {"template": name, "messages": messages, "add_generation_prompt": add_generation_prompt}
                try:
                    rendered, _ = render_jinja_template(
                        [messages], chat_template=template, add_generation_prompt=add_generation_prompt,
                        continue_final_message=continues, bos_token="<s>", eos_token="</s>",
                    )
                    case["output"] = rendered[0]
                except Exception as error:
                    case["error"] = f"{type(error).__name__}: {error}".split("\n")[0]
                cases.append(case)
    return {"templates": CHAT_TEMPLATES, "cases": cases}


for name, made in (("jinja2.json", jinja2_cases()), ("chat.json", chat_cases())):
    (HERE / name).write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")
