namespace MailPipeline.Commands;

/// <summary>
/// Under which name a change is noted: what MAIL_OPERATOR says, or who called sudo, or the user. It is a note and no proof: whoever
/// can write the store can write any name.
/// </summary>
internal static class OperatorName
{
    private const int MaxLength = 100;

    public static string Current => Choose(Environment.GetEnvironmentVariable, Environment.UserName);

    public static string Choose(Func<string, string?> variable, string user)
    {
        string?[] names = [variable("MAIL_OPERATOR"), variable("SUDO_USER"), user, "unknown"];
        var name = names.First(candidate => !string.IsNullOrWhiteSpace(candidate))!.Trim();
        return name.Length <= MaxLength ? name : name[..MaxLength];
    }
}
