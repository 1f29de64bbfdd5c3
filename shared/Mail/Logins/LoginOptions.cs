using System.ComponentModel.DataAnnotations;
using MailPipeline.Sasl;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

/// <summary>How passwords are kept and looked at, and whose tokens are taken, in all protocols. Section "Logins".</summary>
public sealed class LoginOptions
{
    public const string SectionName = "Logins";

    /// <summary>Shortest password that is taken when one is set, in characters. Default 8 (NIST SP 800-63B §3.1.1.2: 8 and more).</summary>
    [Range(1, 128)]
    public int MinPasswordLength { get; set; } = 8;

    /// <summary>
    /// How long a password that was found right is remembered, as a keyed digest, in memory only, and only while what is stored of it stays
    /// the same. Default 15 minutes: a client that looks for mail every ten costs one stretched hash when it begins, and none then.
    /// Each login that is remembered begins the time anew. 0: never.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    public TimeSpan RememberedFor { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>
    /// Iterations of the keys for SCRAM-SHA-256 that are made when a password is set: what each login costs the client, and each guess who
    /// has stolen the keys. 4,096 to 65,536 (RFC 7677 §4; what Cyrus SASL takes at most), or 0: none are made, and those that there are go at
    /// the next login by password. Default 50,000, some 50 ms of a client.
    /// </summary>
    public int ScramIterations { get; set; } = 50_000;

    /// <summary>
    /// Logins of this process that may wait for their passwords to be looked at; beyond it clients are told to come later. Default 100, some
    /// ten seconds of work.
    /// </summary>
    [Range(1, 100_000)]
    public int MaxWaiting { get; set; } = 100;

    /// <summary>Logins from one network that may wait (<see cref="PrefixIPv4"/>, <see cref="PrefixIPv6"/>). Default 10.</summary>
    [Range(1, 100_000)]
    public int MaxWaitingPerNetwork { get; set; } = 10;

    /// <summary>
    /// Wrong passwords and proofs from one network in an hour, by all names and all processes together, that pause nobody; beyond them a name that
    /// has not logged in from there within the hour is not looked at for 2 s to a minute after each. Of one name five at most count. Default 100, which is
    /// more mistakes than a large office makes in an hour; of IPv6 ten times as many for a /48. 0: no bound.
    /// </summary>
    [Range(0, 1_000_000)]
    public int FreeFailuresPerNetwork { get; set; } = 100;

    /// <summary>Bits of an IPv4 address that name a network whose logins take turns with others'. Default 32: each address.</summary>
    [Range(8, 32)]
    public int PrefixIPv4 { get; set; } = 32;

    /// <summary>Bits of an IPv6 address that name a network whose logins take turns with others'. Default 64, what one customer has at least (RFC 6177).</summary>
    [Range(16, 128)]
    public int PrefixIPv6 { get; set; } = 64;

    /// <summary>Logins by tokens of an issuer, instead of passwords.</summary>
    [ValidateObjectMembers(typeof(OpenIdOptionsAttributes))]
    public OpenIdOptions OpenId { get; init; } = new();

    /// <summary>Whose tokens are taken; null: nobody's.</summary>
    public TokenIssuer? TokenIssuer => OpenId.Issuer.Length == 0 ? null : new(OpenId.ConfigurationAddress, OpenId.RequiredScope);

    /// <summary>The mechanisms of a listener, whose names were checked.</summary>
    /// <param name="named">Null: those of the default.</param>
    public IReadOnlyList<SaslMechanism> MechanismsOf(string? named) =>
        named is not null ? SaslMechanism.Named(named)! : TokenIssuer is null ? SaslMechanism.Passwords : [.. SaslMechanism.Passwords, .. SaslMechanism.Tokens];

    /// <summary>What is wrong with a listener that offers to take tokens where there is no issuer; null: nothing.</summary>
    public static string? CheckMechanisms(IConfiguration configuration, string setting, string? named)
    {
        const string Issuer = $"{SectionName}:{nameof(OpenId)}:{nameof(OpenIdOptions.Issuer)}";
        var token = SaslMechanism.Named(named ?? "")?.FirstOrDefault(mechanism => mechanism.SendsToken);
        return token is null || configuration[Issuer] is { Length: > 0 }
            ? null
            : $"{setting} is '{named}', but {token.Name} needs an issuer of tokens; set {Issuer}, or leave it out";
    }
}

[OptionsValidator]
internal sealed partial class LoginOptionsAttributes : IValidateOptions<LoginOptions>;

/// <summary>What is allowed, including what attributes cannot say.</summary>
internal sealed class LoginOptionsValidator : IValidateOptions<LoginOptions>
{
    public ValidateOptionsResult Validate(string? name, LoginOptions options)
    {
        if (new LoginOptionsAttributes().Validate(name, options) is { Failed: true } limits)
            return limits;
        if (options.OpenId.Failures($"{LoginOptions.SectionName}:{nameof(options.OpenId)}").ToList() is { Count: > 0 } failures)
            return ValidateOptionsResult.Fail(failures);
        return options.ScramIterations is 0 or (>= ScramKeys.LeastIterations and <= ScramKeys.MostIterations)
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(
                $"{LoginOptions.SectionName}:{nameof(options.ScramIterations)} is {options.ScramIterations}; it must be {ScramKeys.LeastIterations} to {ScramKeys.MostIterations}, or 0 for none");
    }
}
