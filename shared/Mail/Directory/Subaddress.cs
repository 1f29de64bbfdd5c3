namespace MailPipeline.Mail;

/// <summary>
/// Plus addressing, in the words of RFC 5233: what stands behind a separator in a local part is its detail, and the address without
/// it the user's. ann+lists@example.org is ann's unless something has that very name.
/// </summary>
internal static class Subaddress
{
    /// <summary>A stranger's address may consist of separators, and each name is a question to storage.</summary>
    private const int MaxUsers = 4;

    /// <summary>
    /// The addresses that may be the user's, the longest first: an account ann-marie+lists is asked for as ann-marie before ann. None
    /// where no separator stands in the local part, or nothing before it, and none of a quoted local part.
    /// </summary>
    /// <param name="separators">Each character is one; none: nobody has details.</param>
    public static IReadOnlyList<string> UsersOf(string address, string separators)
    {
        var local = address.AsSpan(0, Math.Max(0, address.LastIndexOf('@')));
        if (separators.Length == 0 || local.Length < 2 || local[0] == '"' || local[1..].IndexOfAny(separators) < 0)
            return [];
        var users = new List<string>(1);
        for (var i = 1; i < local.Length && users.Count < MaxUsers; i++)
        {
            if (separators.Contains(local[i], StringComparison.Ordinal))
                users.Add(string.Concat(local[..i], address.AsSpan(local.Length)));
        }
        users.Reverse();
        return users;
    }
}
