namespace MailPipeline.Mail;

/// <summary>Text in a pattern of LIKE ... ESCAPE '!'.</summary>
internal static class LikeText
{
    /// <summary>Each of its characters is itself: "_" stands in names of domains, too.</summary>
    public static string Literally(string text) =>
        text.Replace("!", "!!", StringComparison.Ordinal).Replace("%", "!%", StringComparison.Ordinal).Replace("_", "!_", StringComparison.Ordinal);
}
