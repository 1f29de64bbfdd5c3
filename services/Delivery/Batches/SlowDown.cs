using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Batches;

/// <summary>
/// Which replies ask the whole of us to come less often, whatever mail they are said to: the table of that. What says something of one
/// recipient, sender or message (greylisting too, 4.7.1 at RCPT) does not.
/// </summary>
internal static class SlowDown
{
    private const int Closing = 421;

    /// <summary>
    /// RFC 3463 knows 4.7.0 to 4.7.7, and IANA's registry goes on to 4.7.30 with what domains ask of mail; large providers count their own
    /// rates and reputation from there on (4.7.28 is one of these in the registry's gap, 4.7.500 to 4.7.700 are others).
    /// </summary>
    private static readonly (int From, int To)[] s_rateDetails = [(28, 28), (500, 999)];

    private static readonly string[] s_words =
    [
        "too many connections", "too many concurrent", "too many simultaneous", "too many sessions", "too much mail", "connection limit", "connection rate",
        "rate limit", "rate-limit", "unusual rate", "throttl", "slow down", "server busy",
    ];

    /// <param name="step">Null: it was said before MAIL.</param>
    /// <param name="isFirst">Nothing was answered for over this connection: a host that ends one after so many messages asks for another.</param>
    public static bool IsAskedFor(SmtpReply reply, TransactionStep? step, bool isFirst) => (reply.Code, step) switch
    {
        // RFC 5321 §3.1, §4.2.1: nothing but the host itself can be meant.
        ( >= 400 and <= 499, null) => true,
        (Closing, _) when isFirst => true,
        ( >= 400 and <= 499, TransactionStep.Mail) when reply.Status is { Class: 4, Subject: 7 } && (isFirst || reply.Code != Closing) => true,
        ( >= 400 and <= 499, _) => IsOfRate(reply) || HasWords(reply),
        _ => false,
    };

    private static bool IsOfRate(SmtpReply reply) =>
        reply.Status is { Class: 4, Subject: 7 } status && Array.Exists(s_rateDetails, details => status.Detail >= details.From && status.Detail <= details.To);

    private static bool HasWords(SmtpReply reply) =>
        reply.Lines.Any(line => Array.Exists(s_words, words => line.Contains(words, StringComparison.OrdinalIgnoreCase)));
}
