"""How languages and regions write numbers and dates, as far as that can be read in two ways.

Source: Unicode CLDR 47, decimal symbols and short date patterns of the Latin digits.
"""

from typing import Final


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_COMMA: Final = _set(
    "af az be bg br bs ca cs da de el es et eu fi fo fr fy gl hr hu hy id is it ka kk kl ku ky lb"
    " lt lv mk nb nl nn no pl ps pt ro ru sc se sk sl sq sr sv tg tk tr tt uk uz vi"
)
"""Languages with a decimal comma."""

_POINT: Final = _set(
    "am ar bn cy en fa ga gd gu he hi ja km kn ko ml mn mr ms mt my ne or pa rm si so sw ta te th"
    " ti ug ur xh yo zh zu"
)
"""Languages with a decimal point."""

_COMMA_REGIONS: Final = _set(
    "ar_DZ ar_LB ar_LY ar_MA ar_MR ar_TN en_AT en_BE en_CZ en_DE en_DK en_ES en_FI en_FR en_HU"
    " en_ID en_IT en_NL en_NO en_PL en_PT en_RO en_SE en_SI en_SK en_ZA ms_BN ms_ID sw_CD"
)
_POINT_REGIONS: Final = _set(
    "de_CH de_LI es_BR es_BZ es_CU es_DO es_GT es_HN es_MX es_NI es_PA es_PE es_PR es_SV es_US"
    " it_CH"
)

_MONTH_FIRST: Final = _set(
    "en en_US en_PH en_PR en_GU en_VI en_AS en_MH en_MP en_UM en_BI es_PA es_PR or or_IN"
    " ti ti_ER ti_ET xh xh_ZA zu zu_ZA"
)
"""Where 3/4 is the fourth of March. English alone is that of the United States, as in CLDR."""


def is_known(locale: str) -> bool:
    """Whether it is known how the language of a locale writes."""
    return locale[:2] in _COMMA | _POINT


def decimal_mark(locale: str) -> str:
    """`.` or `,`; of a locale that is known."""
    name = locale.replace("-", "_")
    if name in _COMMA_REGIONS:
        return ","
    return "," if name[:2] in _COMMA and name not in _POINT_REGIONS else "."


def is_day_first(locale: str) -> bool:
    """Whether 3/4 is the third of April; of a locale that is known."""
    return locale.replace("-", "_") not in _MONTH_FIRST
