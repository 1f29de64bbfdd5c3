using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mail;

/// <summary>
/// How long claims and maildrops are held, and how addresses of ours are read. Section "MailStore"; the same for all
/// processes on one store.
/// </summary>
public sealed class MailStoreOptions
{
    /// <summary>Not "Mail": MAIL stands in the environment of every login, and would be the section's value.</summary>
    public const string SectionName = "MailStore";

    /// <summary>
    /// How long a claim is held without being renewed. Default 15 s: three renewals of 5 s may be missed before another
    /// worker takes over. It is measured by the store's clock.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan ClaimLease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a POP3 session holds its maildrop without renewing. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan MaildropLease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// What separates a user from a detail in the local part of an address of ours (RFC 5233); each character is a separator. Default "+",
    /// as everywhere; empty: there are no details.
    /// </summary>
    [RegularExpression("[!#$%&'*+/=?^_`{|}~-]{0,8}", ErrorMessage = "The field MailStoreOptions.DetailSeparators must be up to 8 of the characters !#$%&'*+-/=?^_`{|}~")]
    public string DetailSeparators { get; set; } = "+";

    /// <summary>How long a change by the command line may go unnoticed by a running server. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan DirectoryCacheTime { get; set; } = TimeSpan.FromSeconds(1);
}

[OptionsValidator]
internal sealed partial class MailStoreOptionsValidator : IValidateOptions<MailStoreOptions>;
