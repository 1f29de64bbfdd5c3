using MailPipeline.Mail;

namespace MailPipeline.Commands;

/// <summary>
/// Under which name a change is noted: what --as says, or MAIL_OPERATOR, or who called sudo, or the user. It is a note and no proof: whoever
/// can write the store can write any name.
/// </summary>
internal static class OperatorName
{
    private const int MaxLength = 100;

    public static OperatorIdentity Of(string? given) =>
        new(Choose(given, Environment.GetEnvironmentVariable, Environment.UserName), Environment.MachineName);

    public static string Choose(string? given, Func<string, string?> variable, string user)
    {
        string?[] names = [given, variable("MAIL_OPERATOR"), variable("SUDO_USER"), user, "unknown"];
        var name = names.First(candidate => !string.IsNullOrWhiteSpace(candidate))!.Trim();
        return name.Length <= MaxLength ? name : name[..MaxLength];
    }
}
