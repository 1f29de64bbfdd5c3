using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace MailPipeline.Authentication.Spf;

internal enum SpfMechanism
{
    All,
    Include,
    A,
    Mx,
    Ptr,
    IPv4,
    IPv6,
    Exists,
}

/// <summary>A mechanism with its qualifier (RFC 7208 §4.6.1).</summary>
/// <param name="Text">As it stands in the record.</param>
/// <param name="Result">What a match says.</param>
/// <param name="Domain">Null: the domain whose record it is.</param>
/// <param name="Network">Of ip4 and ip6.</param>
/// <param name="BitsIPv4">How much of an IPv4 address has to match.</param>
/// <param name="BitsIPv6">The same of IPv6.</param>
internal sealed record SpfDirective(
    string Text, AuthenticationStatus Result, SpfMechanism Mechanism, SpfMacro? Domain = null, IPAddress? Network = null, int BitsIPv4 = 32, int BitsIPv6 = 128);

/// <summary>An SPF record (RFC 7208 §4.6, §12). One that has a fault anywhere is none, whatever stands before it.</summary>
internal sealed class SpfRecord
{
    public const string Version = "v=spf1";

    private static readonly SearchValues<char> s_addressIPv6 = SearchValues.Create("0123456789abcdefABCDEF:.");

    private readonly List<SpfDirective> _directives = [];

    private SpfRecord()
    {
    }

    public IReadOnlyList<SpfDirective> Directives => _directives;

    /// <summary>Whose record is asked when nothing matches.</summary>
    public SpfMacro? Redirect { get; private set; }

    /// <summary>Where the explanation of a fail stands.</summary>
    public SpfMacro? Explanation { get; private set; }

    /// <summary>RFC 7208 §4.5: it is meant to be one.</summary>
    public static bool IsOne(string text) =>
        text.StartsWith(Version, StringComparison.OrdinalIgnoreCase) && (text.Length == Version.Length || text[Version.Length] == ' ');

    /// <summary>Null and the term that is wrong, where there is one.</summary>
    /// <param name="text">For which <see cref="IsOne"/> is true.</param>
    public static (SpfRecord? Record, string Fault) Parse(string text)
    {
        var record = new SpfRecord();
        var rest = text.AsSpan(Version.Length);
        foreach (var range in rest.Split(' '))
        {
            var term = rest[range];
            if (!term.IsEmpty && !record.TryAdd(term))
                return (null, term.ToString());
        }

        return (record, "");
    }

    private bool TryAdd(ReadOnlySpan<char> term)
    {
        var end = term.IndexOfAny(":/=");
        if (end >= 0 && term[end] == '=')
            return TryAddModifier(term[..end], term[(end + 1)..]);
        AuthenticationStatus? qualifier = term[0] switch
        {
            '+' => AuthenticationStatus.Pass,
            '-' => AuthenticationStatus.Fail,
            '~' => AuthenticationStatus.SoftFail,
            '?' => AuthenticationStatus.Neutral,
            _ => null,
        };
        var name = end < 0 ? term : term[..end];
        var argument = end < 0 ? default : term[end..];
        if (Read(qualifier is null ? name : name[1..], argument) is not { } directive)
            return false;
        _directives.Add(directive with { Text = term.ToString(), Result = qualifier ?? AuthenticationStatus.Pass });
        return true;
    }

    private bool TryAddModifier(ReadOnlySpan<char> name, ReadOnlySpan<char> value)
    {
        if (name.Equals("redirect", StringComparison.OrdinalIgnoreCase))
            return Redirect is null && (Redirect = SpfMacro.Parse(value, SpfMacroPlace.Domain)) is not null;
        if (name.Equals("exp", StringComparison.OrdinalIgnoreCase))
            return Explanation is null && (Explanation = SpfMacro.Parse(value, SpfMacroPlace.Domain)) is not null;
        if (name.IsEmpty || !char.IsAsciiLetter(name[0]))
            return false;
        foreach (var character in name)
        {
            if (!char.IsAsciiLetterOrDigit(character) && character is not ('-' or '_' or '.'))
                return false;
        }

        return SpfMacro.Parse(value, SpfMacroPlace.Modifier) is not null;
    }

    /// <param name="name">In any case of letters.</param>
    /// <param name="argument">From its colon or slash on.</param>
    private static SpfDirective? Read(ReadOnlySpan<char> name, ReadOnlySpan<char> argument)
    {
        Span<char> lower = stackalloc char["include".Length];
        if (name.Length > lower.Length)
            return null;
        return lower[..name.ToLowerInvariant(lower)] switch
        {
            "all" => argument.IsEmpty ? Of(SpfMechanism.All) : null,
            "include" => WithDomain(SpfMechanism.Include, argument, isNeeded: true),
            "exists" => WithDomain(SpfMechanism.Exists, argument, isNeeded: true),
            "ptr" => WithDomain(SpfMechanism.Ptr, argument, isNeeded: false),
            "a" => WithPrefixes(SpfMechanism.A, argument),
            "mx" => WithPrefixes(SpfMechanism.Mx, argument),
            "ip4" => WithNetwork(SpfMechanism.IPv4, argument),
            "ip6" => WithNetwork(SpfMechanism.IPv6, argument),
            _ => null,
        };
    }

    private static SpfDirective Of(SpfMechanism mechanism, SpfMacro? domain = null) => new("", AuthenticationStatus.Pass, mechanism, domain);

    private static SpfDirective? WithDomain(SpfMechanism mechanism, ReadOnlySpan<char> argument, bool isNeeded)
    {
        if (argument.IsEmpty)
            return isNeeded ? null : Of(mechanism);
        return argument[0] == ':' && SpfMacro.Parse(argument[1..], SpfMacroPlace.Domain) is { } domain ? Of(mechanism, domain) : null;
    }

    // RFC 7208 §5.6, dual-cidr-length: "/24", "//64", "/24//64".
    private static SpfDirective? WithPrefixes(SpfMechanism mechanism, ReadOnlySpan<char> argument)
    {
        var (bits4, bits6) = (32, 128);
        if (Number(argument) is { IsEmpty: false } number6 && argument[..^number6.Length].EndsWith("//"))
        {
            if (!TryReadBits(number6, 128, out bits6))
                return null;
            argument = argument[..^(number6.Length + 2)];
        }

        if (Number(argument) is { IsEmpty: false } number4 && argument[..^number4.Length].EndsWith("/"))
        {
            if (!TryReadBits(number4, 32, out bits4))
                return null;
            argument = argument[..^(number4.Length + 1)];
        }

        return WithDomain(mechanism, argument, isNeeded: false) is { } directive ? directive with { BitsIPv4 = bits4, BitsIPv6 = bits6 } : null;
    }

    /// <summary>The digits at the end.</summary>
    private static ReadOnlySpan<char> Number(ReadOnlySpan<char> text) => text[(text.LastIndexOfAnyExceptInRange('0', '9') + 1)..];

    // RFC 7208 §5.2: no leading zeros.
    private static bool TryReadBits(ReadOnlySpan<char> number, int most, out int bits) =>
        int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out bits) && bits <= most && (number.Length == 1 || number[0] != '0');

    // RFC 7208 §5.6
    private static SpfDirective? WithNetwork(SpfMechanism mechanism, ReadOnlySpan<char> argument)
    {
        if (argument is not [':', .. var text])
            return null;
        var most = mechanism == SpfMechanism.IPv4 ? 32 : 128;
        var bits = most;
        var slash = text.IndexOf('/');
        if (slash >= 0 && (text[(slash + 1)..].ContainsAnyExceptInRange('0', '9') || !TryReadBits(text[(slash + 1)..], most, out bits)))
            return null;
        text = slash < 0 ? text : text[..slash];
        if (!(mechanism == SpfMechanism.IPv4 ? TryReadIPv4(text, out var network) : TryReadIPv6(text, out network)))
            return null;
        return new SpfDirective("", AuthenticationStatus.Pass, mechanism, null, network, bits, bits);
    }

    // Four numbers without leading zeros; the runtime takes "1", "0x1.2" and octal numbers besides.
    private static bool TryReadIPv4(ReadOnlySpan<char> text, out IPAddress? address)
    {
        Span<byte> octets = stackalloc byte[4];
        var count = 0;
        address = null;
        foreach (var range in text.Split('.'))
        {
            var number = text[range];
            if (count == 4 || number.Length > 3 || (number.Length > 1 && number[0] == '0')
                || !byte.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out octets[count++]))
                return false;
        }

        address = count == 4 ? new IPAddress(octets) : null;
        return address is not null;
    }

    // The runtime takes brackets, ports and scopes besides.
    private static bool TryReadIPv6(ReadOnlySpan<char> text, out IPAddress? address)
    {
        address = null;
        if (text.IndexOf(':') < 0 || text.ContainsAnyExcept(s_addressIPv6))
            return false;
        var dot = text.IndexOf('.');
        if (dot >= 0 && !TryReadIPv4(text[(text.LastIndexOf(':') + 1)..], out _))
            return false;
#pragma warning disable RS0030 // What could be mistaken for something else was taken out before.
        return IPAddress.TryParse(text, out address) && address.AddressFamily == AddressFamily.InterNetworkV6;
#pragma warning restore RS0030
    }
}
