using System.Reflection;

namespace MailPipeline.ServiceDefaults;

/// <summary>The version of the running program, with the commit it was built from where that is known.</summary>
public static class ProgramVersion
{
    public static string Text { get; } =
        typeof(ProgramVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";
}
