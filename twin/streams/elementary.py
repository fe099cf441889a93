"""Logarithm, exponential and normal distribution from IEEE basic operations only.

The C library's `log`, `exp` and `erf` differ by version and processor in the last bit, and one bit
in a draw is enough to change a digest. Here only `+ - * /`, `sqrt`, `frexp` and `ldexp` are used, each of
which IEEE 754 rounds in one way, so every machine computes the same bits.
"""

from math import frexp, ldexp, sqrt

__all__ = ["exp", "gamma", "ln", "normal_cdf", "normal_density", "normal_quantile"]

_SQRT_HALF = 0.7071067811865476
_LN2_HIGH = 6.93147180369123816490e-01  # the last 32 bits are zero: a small multiple of it is exact
_LN2_LOW = 1.90821492927058770002e-10
_INVERSE_LN2 = 1.44269504088896338700
_SQRT_2PI = 2.5066282746310002
_EXP_MAX = 709.782712893384  # beyond it the result is no finite double
_EXP_MIN = -708.0  # below it the result is subnormal and would lose bits


def ln(x: float) -> float:
    """Natural logarithm of a finite `x` > 0, within 1 ulp (fdlibm `e_log.c`, Sun Microsystems 1993).

    Raises `ValueError` for anything else.
    """
    if not 0.0 < x < 1.8e308:
        raise ValueError(f"ln needs a finite number above 0, got {x!r}")
    m, k = frexp(x)
    if m < _SQRT_HALF:
        m += m
        k -= 1
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = 0.1531383769920937332 + z * 0.1479819860511658591
    r = 0.1818357216161805012 + z * r
    r = 0.2222219843214978396 + z * r
    r = 0.2857142874366239149 + z * r
    r = 0.3999999999940941908 + z * r
    r = z * (0.6666666666666735130 + z * r)
    half_square = 0.5 * f * f
    return k * _LN2_HIGH - ((half_square - (s * (half_square + r) + k * _LN2_LOW)) - f)


def exp(x: float) -> float:
    """e to the power `x`, within 1 ulp (fdlibm `e_exp.c`, Sun Microsystems 1993); 0.0 for `x` < -708.

    Raises `OverflowError` when the result is no finite double, `ValueError` for NaN.
    """
    if x < _EXP_MIN:
        return 0.0
    if not x <= _EXP_MAX:
        if x != x:
            raise ValueError("exp of NaN")
        raise OverflowError(f"exp({x!r}) is too large for a double")
    k = int(x * _INVERSE_LN2 + (0.5 if x >= 0.0 else -0.5))
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    p = -1.65339022054652515390e-06 + t * 4.13813679705723846039e-08
    p = 6.61375632143793436117e-05 + t * p
    p = -2.77777777770155933842e-03 + t * p
    c = r - t * (1.66666666666666019037e-01 + t * p)
    return ldexp(1.0 - ((low - (r * c) / (2.0 - c)) - high), k)


def normal_quantile(p: float) -> float:
    """Standard normal quantile of 0 < `p` < 1, relative error about 1e-15.

    Wichura (1988), algorithm AS 241 (PPND16), Applied Statistics 37(3), 477-484.
    Raises `ValueError` outside (0, 1).
    """
    q = p - 0.5
    if -0.425 <= q <= 0.425:
        r = 0.180625 - q * q
        n = 2.5090809287301226727e3 * r + 3.3430575583588128105e4
        n = n * r + 6.7265770927008700853e4
        n = n * r + 4.5921953931549871457e4
        n = n * r + 1.3731693765509461125e4
        n = n * r + 1.9715909503065514427e3
        n = n * r + 1.3314166789178437745e2
        n = n * r + 3.3871328727963666080e0
        d = 5.2264952788528545610e3 * r + 2.8729085735721942674e4
        d = d * r + 3.9307895800092710610e4
        d = d * r + 2.1213794301586595867e4
        d = d * r + 5.3941960214247511077e3
        d = d * r + 6.8718700749205790830e2
        d = d * r + 4.2313330701600911252e1
        d = d * r + 1.0
        return q * n / d
    r = p if q < 0.0 else 1.0 - p
    if not 0.0 < r < 1.0:
        raise ValueError(f"a quantile needs a probability inside (0, 1), got {p!r}")
    r = sqrt(-ln(r))
    if r <= 5.0:
        r -= 1.6
        n = 7.74545014278341407640e-4 * r + 2.27238449892691845833e-2
        n = n * r + 2.41780725177450611770e-1
        n = n * r + 1.27045825245236838258e0
        n = n * r + 3.64784832476320460504e0
        n = n * r + 5.76949722146069140550e0
        n = n * r + 4.63033784615654529590e0
        n = n * r + 1.42343711074968357734e0
        d = 1.05075007164441684324e-9 * r + 5.47593808499534494600e-4
        d = d * r + 1.51986665636164571966e-2
        d = d * r + 1.48103976427480074590e-1
        d = d * r + 6.89767334985100004550e-1
        d = d * r + 1.67638483018380384940e0
        d = d * r + 2.05319162663775882187e0
        d = d * r + 1.0
    else:
        r -= 5.0
        n = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
        n = n * r + 1.24266094738807843860e-3
        n = n * r + 2.65321895265761230930e-2
        n = n * r + 2.96560571828504891230e-1
        n = n * r + 1.78482653991729133580e0
        n = n * r + 5.46378491116411436990e0
        n = n * r + 6.65790464350110377720e0
        d = 2.04426310338993978564e-15 * r + 1.42151175831644588870e-7
        d = d * r + 1.84631831751005468180e-5
        d = d * r + 7.86869131145613259100e-4
        d = d * r + 1.48753612908506148525e-2
        d = d * r + 1.36929880922735805310e-1
        d = d * r + 5.99832206555887937690e-1
        d = d * r + 1.0
    return -n / d if q < 0.0 else n / d


def normal_cdf(x: float) -> float:
    """Probability that a standard normal is at most `x`, absolute error below 1e-15.

    Hart (1968), algorithm 5666, in the double-precision form of West (2005), "Better approximations to
    cumulative normal functions".
    """
    a = abs(x)
    if a > 37.0:
        tail = 0.0
    else:
        e = exp(-0.5 * a * a)
        if a < 7.07106781186547:
            n = 0.0352624965998911 * a + 0.700383064443688
            n = n * a + 6.37396220353165
            n = n * a + 33.912866078383
            n = n * a + 112.079291497871
            n = n * a + 221.213596169931
            n = n * a + 220.206867912376
            d = 0.0883883476483184 * a + 1.75566716318264
            d = d * a + 16.064177579207
            d = d * a + 86.7807322029461
            d = d * a + 296.564248779674
            d = d * a + 637.333633378831
            d = d * a + 793.826512519948
            d = d * a + 440.413735824752
            tail = e * n / d
        else:
            tail = e / (a + 1.0 / (a + 2.0 / (a + 3.0 / (a + 4.0 / (a + 0.65))))) / _SQRT_2PI
    return 1.0 - tail if x > 0.0 else tail


def normal_density(x: float) -> float:
    """Density of the standard normal at `x`."""
    return exp(-0.5 * x * x) / _SQRT_2PI if abs(x) < 37.0 else 0.0


_LANCZOS = (
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)


def gamma(x: float) -> float:
    """The gamma function for 1 <= `x` <= 140, relative error below 1e-12 (Lanczos 1964, g = 7, 9 terms)."""
    if not 1.0 <= x <= 140.0:
        raise ValueError(f"gamma is computed for 1 to 140, got {x!r}")
    y = x - 1.0
    total = 0.99999999999980993
    for i, coefficient in enumerate(_LANCZOS):
        total += coefficient / (y + i + 1.0)
    t = y + 7.5
    # Halved exponents: t ** y alone overflows before the product does.
    half_power = exp((y + 0.5) * 0.5 * ln(t))
    return _SQRT_2PI * half_power * exp(-t) * half_power * total
